/** How a lost token spreads: not at all through a layer over tokens, through its sequence by attention and pooling. */
import { graphOf, openCheckpoint } from '@espalier/models';
import { describe, expect, test } from 'vitest';
import { type Lost, rowCount, spread } from '../src/compare/rows.ts';
import { outputsOf } from '../src/compare/verdict.ts';
import { bundled } from './support/streams.ts';

describe('lost rows', () => {
  test('in a model with trees and asked positions', async () => {
    const { graph } = graphOf(await openCheckpoint(bundled('tiny-ultrafastbert')), {
      outputs: 'all',
      mlmPositions: 'asked',
    });
    const dims = new Map([
      ['B', 2],
      ['S', 3],
      ['P', 2],
    ]);
    const positions = [1, 4];
    const lost = new Map<string, Lost>();
    for (const node of graph.nodes)
      for (const output of outputsOf(node)) {
        const rows = spread(graph, node, output, lost, dims, positions);
        // Token 1 of the first sequence goes astray in the second tree.
        if (node.id === 'layers.1.ffn') rows[1] = 1;
        lost.set(output, rows);
      }
    const of = (name: string): readonly number[] => [...(lost.get(name) ?? [])];
    expect(of('hidden_states.1')).toEqual([0, 0, 0, 0, 0, 0]);
    expect(of('ffn.1.output')).toEqual([0, 1, 0, 0, 0, 0]);
    expect(of('hidden_states.2')).toEqual([0, 1, 0, 0, 0, 0]);
    expect(of('hidden_states.3')).toEqual([1, 1, 1, 0, 0, 0]);
    expect(of('logits')).toEqual([1, 0]);
    const tensor = graph.tensors.get('logits');
    expect(tensor && rowCount(tensor, dims)).toBe(2);
  });

  test('pooling takes the whole sequence along', async () => {
    const { graph } = graphOf(await openCheckpoint(bundled('tiny-ultrafastbert-spam')), { outputs: 'all' });
    const dims = new Map([
      ['B', 2],
      ['S', 3],
    ]);
    const lost = new Map<string, Lost>();
    for (const node of graph.nodes)
      for (const output of outputsOf(node)) {
        const rows = spread(graph, node, output, lost, dims, undefined);
        if (node.id === 'layers.3.ffn') rows[5] = 1;
        lost.set(output, rows);
      }
    expect([...(lost.get('last_hidden_state') ?? [])]).toEqual([0, 0, 0, 0, 0, 1]);
    expect([...(lost.get('logits') ?? [])]).toEqual([0, 1]);
  });
});
