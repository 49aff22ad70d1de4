/** Inferring dims: what follows is found, what does not is an error that says what to do. */
import type { SizeExpr } from '@espalier/artefact';
import { describe, expect, it } from 'vitest';
import { formatShape, formatSize, inferDims } from '../src/index.ts';

const source = (name: string, declared: readonly SizeExpr[], given: number | readonly number[]) =>
  typeof given === 'number'
    ? { name, declared, length: given }
    : { name, declared, shape: given, length: given.reduce((a, b) => a * b, 1) };

describe('inferDims', () => {
  it.each<[string, readonly string[], Parameters<typeof inferDims>[1], Record<string, number>, Record<string, number>]>(
    [
      ['from a count', ['T'], [source('x', ['T', 768], 1536)], {}, { T: 2 }],
      ['from an empty array', ['T'], [source('x', ['T', 768], 0)], {}, { T: 0 }],
      ['from shapes', ['B', 'S'], [source('x', ['B', 'S', 4], [2, 3, 4])], {}, { B: 2, S: 3 }],
      [
        'from a count and another input',
        ['B', 'S'],
        [source('x', ['B', 'S'], 6), source('m', ['S'], 3)],
        {},
        { B: 2, S: 3 },
      ],
      ['from a stated dim', ['B', 'S'], [source('x', ['B', 'S'], 6)], { B: 3 }, { B: 3, S: 2 }],
      [
        'through a product',
        ['B', 'S'],
        [source('x', [['*', 'B', 'S'], 2], [6, 2]), source('b', ['B'], [2])],
        {},
        { B: 2, S: 3 },
      ],
      ['through a sum', ['D'], [source('r', [['+', 'D', 1]], 12)], {}, { D: 11 }],
      ['stated only', ['K'], [], { K: 0 }, { K: 0 }],
      [
        'of names that every object has something by',
        ['constructor', 'valueOf'],
        [source('x', ['constructor', 'valueOf'], 6)],
        { valueOf: 2 },
        { constructor: 3, valueOf: 2 },
      ],
      [
        'where a rounding agrees',
        ['T'],
        [source('b', [['ceildiv', 'T', 4]], [2]), source('x', ['T'], [7])],
        {},
        { T: 7 },
      ],
    ],
  )('%s', (_, names, sources, stated, expected) => {
    expect(inferDims(names, sources, stated)).toEqual(expected);
  });

  it.each<[string, readonly string[], Parameters<typeof inferDims>[1], Record<string, number>, string]>([
    [
      'two inputs that disagree',
      ['T'],
      [source('x', ['T', 4], 20), source('ids', ['T'], 6)],
      {},
      'R005: "ids" of 6 elements conflicts with T = 5 (from "x" of 20 elements): T must be 5, got 6; make the inputs agree',
    ],
    [
      'a count that is no multiple',
      ['T'],
      [source('x', ['T', 768], 1000)],
      {},
      'R004: "x" of 1000 elements does not fit: no T makes T * 768 = 1000; give as many elements as the declared shape takes',
    ],
    [
      'a wrong number of axes',
      ['T'],
      [source('x', ['T', 4], [8])],
      {},
      'R004: "x" of shape [8] has 1 axes, expected [T, 4]; reshape it or give its elements alone',
    ],
    [
      'a fixed axis of another size',
      ['T'],
      [source('x', ['T', 4], [2, 5])],
      {},
      'R004: "x" of shape [2, 5] does not fit [T = 2, 4]; give it in that shape',
    ],
    [
      'a dim that stands in two axes',
      ['T'],
      [source('x', ['T', 'T'], [2, 3])],
      {},
      'R004: "x" of shape [2, 3] does not fit [T = 2, T = 2]; give it in that shape',
    ],
    [
      'a dim behind an empty axis',
      ['T', 'N'],
      [source('x', ['T', 'N'], 0)],
      { N: 0 },
      'R006: dim T does not follow from the inputs; state it (dims: { T: … }) or give inputs with their shapes',
    ],
    [
      'a count that a stated dim does not divide',
      ['B', 'S'],
      [source('x', ['B', 'S'], 7)],
      { B: 2 },
      'R004: "x" of 7 elements does not fit: no S makes B * S = 7; give as many elements as the declared shape takes',
    ],
    [
      'a dim beside an axis of none',
      ['T'],
      [source('x', ['T', 0], 0)],
      {},
      'R006: dim T does not follow from the inputs; state it (dims: { T: … }) or give inputs with their shapes',
    ],
    [
      'a dim that only rounding knows',
      ['T'],
      [source('b', [['ceildiv', 'T', 4]], [2])],
      {},
      'R006: dim T does not follow from the inputs; state it (dims: { T: … }) or give inputs with their shapes',
    ],
  ])('refuses %s', (_, names, sources, stated, message) => {
    expect(() => inferDims(names, sources, stated)).toThrow(message);
  });
});

it('writes sizes as people do', () => {
  expect(formatSize(['*', ['+', 'D', 1], ['ceildiv', 'T', 4]])).toBe('(D + 1) * ceildiv(T, 4)');
  expect(formatSize(['-', 'A', ['-', 'B', 1]])).toBe('A - (B - 1)');
  expect(formatSize(['*', ['*', 'A', 'B'], 3])).toBe('A * B * 3');
  expect(formatShape(['T', ['*', 'T', 2], 'N', 7], { T: 3 })).toBe('[T = 3, T * 2 = 6, N, 7]');
});
