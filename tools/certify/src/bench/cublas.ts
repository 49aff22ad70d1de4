/**
 * cuBLASLt, where the machine has it: the matrix product that a dense layer is, by NVIDIA's own kernels, on the device's stream.
 * Row-major y[T, O] = x[T, D] · w[O, D]ᵀ is column-major yᵀ = wᵀᵀ · xᵀ, so w is the first operand, transposed.
 */
import { existsSync } from 'node:fs';
import type { CudaBuffer, CudaDevice } from '@espalier/runtime-cuda';
import koffi, { type LibraryHandle } from 'koffi';
import type { Precision } from './works.ts';

/** cudaDataType and cublasComputeType of operands. */
const kinds: Readonly<Record<Precision, { readonly data: number; readonly compute: number }>> = {
  f32: { data: 0, compute: 68 },
  tf32: { data: 0, compute: 77 },
  bf16: { data: 14, compute: 68 },
};

const F32 = 0;
/** CUBLASLT_MATMUL_DESC_TRANSA and CUBLAS_OP_T; CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES. */
const TRANSPOSE_A = 3;
const TRANSPOSED = 1;
const WORKSPACE_LIMIT = 1;
/** sizeof(cublasLtMatmulHeuristicResult_t): the algorithm (64 bytes), workspace bytes (8), status (4), waves (4), reserved (16). */
const RESULT_BYTES = 96;
const WORKSPACE_BYTES = 32 * 2 ** 20;

const pointer = 'void *';
const declarations = {
  cublasLtCreate: [pointer],
  cublasLtDestroy: [pointer],
  cublasLtMatmulDescCreate: [pointer, 'int', 'int'],
  cublasLtMatmulDescSetAttribute: [pointer, 'int', pointer, 'size_t'],
  cublasLtMatmulDescDestroy: [pointer],
  cublasLtMatrixLayoutCreate: [pointer, 'int', 'uint64_t', 'uint64_t', 'int64_t'],
  cublasLtMatrixLayoutDestroy: [pointer],
  cublasLtMatmulPreferenceCreate: [pointer],
  cublasLtMatmulPreferenceSetAttribute: [pointer, 'int', pointer, 'size_t'],
  cublasLtMatmulPreferenceDestroy: [pointer],
  cublasLtMatmulAlgoGetHeuristic: [
    ...[pointer, pointer, pointer, pointer, pointer, pointer, pointer],
    'int',
    pointer,
    pointer,
  ],
  cublasLtMatmul: [
    ...[pointer, pointer, pointer, 'uint64_t', pointer, 'uint64_t', pointer, pointer, 'uint64_t', pointer],
    ...['uint64_t', pointer, pointer, 'uint64_t', 'size_t', pointer],
  ],
} as const;

type Call = keyof typeof declarations;

export interface Product {
  readonly precision: Precision;
  readonly tokens: number;
  readonly depth: number;
  readonly columns: number;
  readonly x: CudaBuffer;
  readonly w: CudaBuffer;
  readonly y: CudaBuffer;
}

/** A product ready to be put on the stream any number of times. */
export interface ReadyProduct extends Disposable {
  enqueue(): void;
}

/** cuBLASLt of this machine. */
export interface CublasLt extends Disposable {
  readonly path: string;
  prepare(product: Product): ReadyProduct;
}

const names = (): readonly string[] => {
  const folders = [process.env['CUDA_HOME'], process.env['CUDA_PATH'], '/usr/local/cuda'].flatMap((folder) =>
    folder ? [`${folder}/lib64/libcublasLt.so`] : [],
  );
  return ['libcublasLt.so.13', 'libcublasLt.so.12', 'libcublasLt.so', ...folders.filter((path) => existsSync(path))];
};

/** Opens it in the context of `device`, or says why not. `library` names it. */
export function openCublasLt(device: CudaDevice, library?: string): CublasLt | { readonly reason: string } {
  let reason = '';
  for (const path of library === undefined ? names() : [library]) {
    try {
      return connect(device, path, koffi.load(path));
    } catch (error) {
      reason ||= `${path}: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  return { reason };
}

function connect(device: CudaDevice, path: string, library: LibraryHandle): CublasLt {
  const functions = Object.fromEntries(
    Object.entries(declarations).map(([name, parameters]) => [name, library.func(name, 'int', [...parameters])]),
  ) as Record<Call, ReturnType<LibraryHandle['func']>>;
  const call = (name: Call, ...args: unknown[]): void => {
    const status = functions[name](...args) as number;
    if (status !== 0) throw new Error(`${name} says status ${status}`);
  };
  const make = (name: Call, ...args: unknown[]): bigint => {
    const out = new BigUint64Array(1);
    call(name, out, ...args);
    return out[0] as bigint;
  };
  device.enter();
  const handle = make('cublasLtCreate');
  const workspace = device.createBuffer(WORKSPACE_BYTES, 'workspace of cuBLASLt');

  const prepare = ({ precision, tokens, depth, columns, x, w, y }: Product): ReadyProduct => {
    const { data, compute } = kinds[precision];
    const stack = new DisposableStack();
    const kept = (destroy: Call, made: bigint): bigint => {
      stack.defer(() => call(destroy, made));
      return made;
    };
    try {
      const description = kept('cublasLtMatmulDescDestroy', make('cublasLtMatmulDescCreate', compute, F32));
      call('cublasLtMatmulDescSetAttribute', description, TRANSPOSE_A, Int32Array.of(TRANSPOSED), 4);
      const layout = (rows: number, count: number): bigint =>
        kept('cublasLtMatrixLayoutDestroy', make('cublasLtMatrixLayoutCreate', data, rows, count, rows));
      const [a, b, c] = [layout(depth, columns), layout(depth, tokens), layout(columns, tokens)];
      const preference = kept('cublasLtMatmulPreferenceDestroy', make('cublasLtMatmulPreferenceCreate'));
      const limit = BigUint64Array.of(BigInt(WORKSPACE_BYTES));
      call('cublasLtMatmulPreferenceSetAttribute', preference, WORKSPACE_LIMIT, limit, 8);
      const result = new Uint8Array(RESULT_BYTES);
      const found = new Int32Array(1);
      call('cublasLtMatmulAlgoGetHeuristic', handle, description, a, b, c, c, preference, 1, result, found);
      if (found[0] === 0) throw new Error('cublasLtMatmulAlgoGetHeuristic found no algorithm');
      const one = Float32Array.of(1);
      const zero = Float32Array.of(0);
      const enqueue = (): void => {
        const stream = device.enter();
        call(
          'cublasLtMatmul',
          ...[handle, description, one, w.address, a, x.address, b, zero, y.address, c, y.address, c, result],
          ...[workspace.address, WORKSPACE_BYTES, stream],
        );
      };
      return { enqueue, [Symbol.dispose]: () => stack.dispose() };
    } catch (error) {
      stack.dispose();
      throw error;
    }
  };
  const close = (): void => {
    workspace[Symbol.dispose]();
    call('cublasLtDestroy', handle);
  };
  return { path, prepare, [Symbol.dispose]: close };
}
