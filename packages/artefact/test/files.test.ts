/** Saving and loading artefacts and graphs: what comes back is what went in, and every damage is noticed. */
import { describe, expect, it } from 'vitest';
import {
  type Artefact,
  ArtefactError,
  artefactFiles,
  artefactFromFiles,
  type CompiledGraph,
  decodeGraph,
  encodeGraph,
  type Manifest,
  parseManifest,
  sha256Hex,
  verifyChecksum,
} from '../src/index.ts';

const binary = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0);

const manifest: Manifest = {
  version: 1,
  name: 'tree of neurons',
  target: 'wasm',
  generator: 'espalier 0.1.0',
  dims: ['T'],
  fixed: { D: 3, bias: true, act: 'gelu' },
  bindings: [
    {
      name: 'x',
      role: 'input',
      storage: 'f32',
      shape: ['T', ['*', 4, ['+', 'T', 1]]],
      layout: [
        { part: 'whole', axis: 0 },
        { part: 'outer', axis: 1, block: 4 },
        { part: 'inner', axis: 1, block: 4 },
      ],
    },
  ],
  launches: [
    {
      kernel: 'k0',
      grid: ['ceildiv', 'T', 4],
      bindings: ['x'],
      dims: ['T'],
      scratch: 0,
      label: 'walk',
      flops: ['*', 'T', 100],
      bytes: 7,
    },
  ],
  faults: [{ message: 'index', place: 'a.layer:1:2' }],
  requires: ['simd'],
  numerics: { fma: true },
  checksum: 'cd5d4935a48c0672cb06407bb443bc0087aff947c6b864bac886982c73b3027f',
};

const artefact: Artefact = { manifest, source: '(module) ;; ö', binary };

const graph: CompiledGraph = {
  name: 'two steps',
  target: 'wasm',
  dims: ['B', 'S'],
  tensors: [
    { name: 'x', storage: 'f32', shape: ['B', 'S'] },
    { name: 'y', storage: 'i32', shape: [['*', 'B', 'S'], 1] },
  ],
  inputs: ['x'],
  outputs: ['y'],
  steps: [{ id: 's0', artefact: 1, dims: { T: ['*', 'B', 'S'] }, tensors: { x: 'x', y: 'y' }, weights: { w: 'a.b' } }],
  artefacts: [artefact, { manifest: { ...manifest, target: 'wgsl' }, source: 'fn main() {}' }],
};

const codeOf = (action: () => unknown): string => {
  try {
    action();
  } catch (error) {
    if (error instanceof ArtefactError) return error.code;
    throw error;
  }
  return 'no error';
};

describe('files of an artefact', () => {
  it('are named after it, deterministic, and read back the same', () => {
    const files = artefactFiles(artefact);
    expect(files.map((file) => file.path)).toEqual([
      'tree-of-neurons.manifest.json',
      'tree-of-neurons.wasm',
      'tree-of-neurons.wat',
    ]);
    expect(artefactFiles(structuredClone(artefact))).toEqual(files);
    expect(artefactFromFiles(files)).toEqual(artefact);
    const elsewhere = files.map((file) => ({
      path: `dist/a/${file.path}`,
      content: typeof file.content === 'string' ? new TextEncoder().encode(file.content) : file.content,
    }));
    expect(artefactFromFiles([{ path: 'x.json', content: '' }, ...elsewhere])).toEqual(artefact);
  });

  it.each([
    ['wasm', 'wat'],
    ['wgsl', 'wgsl'],
    ['cuda', 'cu'],
    ['vector', 'txt'],
  ])('have the extension of the language: %s', (target, extension) => {
    const source = { manifest: { ...manifest, name: 'a', target }, source: 'text' };
    expect(artefactFiles(source).map((file) => file.path)).toEqual(['a.manifest.json', `a.${extension}`]);
    expect(artefactFromFiles(artefactFiles(source))).toEqual(source);
  });

  it('are refused when one is missing or read as text', () => {
    const [json, wasm, wat] = artefactFiles(artefact);
    if (!json || !wasm || !wat) throw new Error('three files expected');
    expect(codeOf(() => artefactFromFiles([wasm, wat]))).toBe('A004');
    expect(codeOf(() => artefactFromFiles([json]))).toBe('A004');
    expect(codeOf(() => artefactFromFiles([json, { ...wasm, content: 'text' }]))).toBe('A004');
    expect(artefactFromFiles([json, wasm])).toEqual({ ...artefact, source: '' });
  });
});

describe('a saved manifest', () => {
  const saved = String(artefactFiles(artefact)[0]?.content);

  it('is refused when anything in it was changed, whatever it still looks like', () => {
    for (const [from, to] of [
      [`"name": ${JSON.stringify(manifest.name)}`, '"name": "another"'],
      [/"grid": /, '"grid": 1, "was": '],
      [/"scratch": \d+/, '"scratch": 4096'],
      [/"crc": \d/, '"crc": 1'],
    ] as const) {
      const changed = saved.replace(from, to);
      expect(changed).not.toBe(saved);
      expect(
        codeOf(() => parseManifest(changed)),
        to,
      ).toBe('A006');
    }
  });

  it('may be laid out anew, and is taken as an older release wrote it', () => {
    expect(parseManifest(JSON.stringify(JSON.parse(saved)))).toEqual(manifest);
    expect(parseManifest(JSON.stringify(manifest))).toEqual(manifest);
  });
});

describe('parseManifest', () => {
  const changed = (change: (m: Record<string, unknown>) => void): string => {
    const copy = structuredClone(manifest) as unknown as Record<string, unknown>;
    change(copy);
    return JSON.stringify(copy);
  };

  it('reads what was written', () => {
    expect(parseManifest(JSON.stringify(manifest))).toEqual(manifest);
  });

  it('ignores fields it does not know', () => {
    expect(parseManifest(changed((m) => Object.assign(m, { extra: 1 })))).toMatchObject(manifest);
  });

  it.each<[string, string, string | RegExp]>([
    ['no JSON', '{', 'A001: the manifest is not JSON'],
    ['no object', '[]', 'A003: the manifest is [], expected an object'],
    [
      'a newer version',
      changed((m) => Object.assign(m, { version: 2 })),
      'A002: this runtime reads manifests of version 1, this one has version 2',
    ],
    ['a missing field', changed((m) => Reflect.deleteProperty(m, 'dims')), 'A003: dims is missing, expected a list'],
    [
      'an unknown storage',
      changed((m) => Object.assign(m, { bindings: [{ ...manifest.bindings[0], storage: 'f64' }] })),
      'A003: bindings[0].storage is "f64", expected one of f32, f16, i32, i8',
    ],
    [
      'a bad size',
      changed((m) => Object.assign(m, { launches: [{ ...manifest.launches[0], grid: ['/', 1, 2] }] })),
      'A003: launches[0].grid[0] is "/", expected one of +, -, *, ceildiv, max',
    ],
    [
      'a block of 0',
      changed((m) =>
        Object.assign(m, { bindings: [{ ...manifest.bindings[0], layout: [{ part: 'outer', axis: 0, block: 0 }] }] }),
      ),
      'A003: bindings[0].layout[0].block is 0, expected an integer of at least 1',
    ],
    [
      'pairs of an odd block',
      changed((m) =>
        Object.assign(m, { bindings: [{ ...manifest.bindings[0], layout: [{ part: 'pairs', axis: 0, block: 7 }] }] }),
      ),
      'A003: bindings[0].layout[0].block is 7, expected an even number',
    ],
    [
      'pairs that are not innermost',
      changed((m) => {
        const layout = [
          { part: 'pairs', axis: 0, block: 8 },
          { part: 'outer', axis: 0, block: 8 },
        ];
        Object.assign(m, { bindings: [{ ...manifest.bindings[0], layout }] });
      }),
      /^A003: bindings\[0\]\.layout is \[.*\.\.\., expected pairs as the last only/,
    ],
    [
      'a binding that is finite in some other way',
      changed((m) => Object.assign(m, { bindings: [{ ...manifest.bindings[0], finite: 'yes' }] })),
      'A003: bindings[0].finite is "yes", expected a boolean',
    ],
    [
      'a binding that is not there',
      changed((m) => Object.assign(m, { launches: [{ ...manifest.launches[0], bindings: ['z'] }] })),
      'A003: launches[0].bindings is "z", expected one of x',
    ],
    [
      'a dim that is not there',
      changed((m) => Object.assign(m, { launches: [{ ...manifest.launches[0], dims: ['B'] }] })),
      'A003: launches[0].dims is "B", expected one of T',
    ],
  ])('refuses %s', (_, json, message) => {
    expect(() => parseManifest(json)).toThrow(ArtefactError);
    expect(() => parseManifest(json)).toThrow(message);
  });
});

describe('graph files', () => {
  it('read back the same, whatever order the keys were made in', () => {
    const bytes = encodeGraph(graph);
    expect(decodeGraph(bytes)).toEqual(graph);
    const { name, ...rest } = structuredClone(graph);
    expect(encodeGraph({ ...rest, name })).toEqual(bytes);
    // Bytes in the middle of a larger buffer, as a file reader may give them.
    const padded = new Uint8Array(bytes.length + 7);
    padded.set(bytes, 3);
    expect(decodeGraph(padded.subarray(3, 3 + bytes.length))).toEqual(graph);
  });

  it('do not share memory with the bytes they came from', () => {
    const bytes = encodeGraph(graph);
    const decoded = decodeGraph(bytes);
    bytes.fill(0);
    expect(decoded).toEqual(graph);
    // As Node reads files: what it calls slice would not copy.
    const buffer = Buffer.from(encodeGraph(graph));
    const { binary } = decodeGraph(buffer).artefacts[0] ?? {};
    buffer.fill(0);
    expect(binary).toEqual(artefact.binary);
    expect(binary).not.toBeInstanceOf(Buffer);
  });

  it('are refused when cut short anywhere', () => {
    const bytes = encodeGraph(graph);
    for (let length = 0; length < bytes.length; length++)
      expect(['A005', 'A006']).toContain(codeOf(() => decodeGraph(bytes.slice(0, length))));
  });

  it('are refused when any bit was changed', () => {
    const bytes = encodeGraph(graph);
    for (let i = 0; i < bytes.length; i++) {
      const damaged = bytes.slice();
      damaged[i] = (damaged[i] ?? 0) ^ (1 << (i % 8));
      expect(['A005', 'A006']).toContain(codeOf(() => decodeGraph(damaged)));
    }
  });

  it('are refused when a field is wrong though the bytes are whole', () => {
    expect(codeOf(() => decodeGraph(encodeGraph({ ...graph, dims: 3 as unknown as string[] })))).toBe('A003');
    const [step] = graph.steps;
    if (!step) throw new Error('a step expected');
    expect(codeOf(() => decodeGraph(encodeGraph({ ...graph, steps: [{ ...step, artefact: 2 }] })))).toBe('A003');
  });
});

describe('checksums', () => {
  it('are SHA-256 of bytes, of text, and of shared memory', async () => {
    const abc = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
    expect(await sha256Hex('abc')).toBe(abc);
    expect(await sha256Hex(Uint8Array.of(0, 97, 98, 99).subarray(1))).toBe(abc);
    const shared = new Uint8Array(new SharedArrayBuffer(3));
    shared.set([97, 98, 99]);
    expect(await sha256Hex(shared)).toBe(abc);
  });

  it('are compared with the binary, or else the source', async () => {
    const good = { ...artefact, manifest: { ...manifest, checksum: await sha256Hex(binary) } };
    await expect(verifyChecksum(good)).resolves.toBeUndefined();
    await expect(verifyChecksum({ ...good, binary: Uint8Array.of(1) })).rejects.toThrow(/^A007: the binary of tree/);
    const text = { source: 'fn', manifest: { ...manifest, checksum: await sha256Hex('fn') } };
    await expect(verifyChecksum(text)).resolves.toBeUndefined();
    await expect(verifyChecksum({ ...text, source: 'fm' })).rejects.toThrow(/^A007: the source of tree/);
  });
});
