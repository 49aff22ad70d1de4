/**
 * The calls of the CUDA driver that this runtime makes, by the names that the library exports: cuda.h hides `_v2` behind
 * macros, so `cuMemAlloc` is `cuMemAlloc_v2` here. All return a CUresult.
 */

/**
 * What a parameter is. `int`, `uint` and `size` are numbers; `address` is a CUdeviceptr; `handle` is an opaque pointer (context,
 * stream, module, function, event, graph) or a pointer into memory that stays; `out` is memory the call writes before it
 * returns; `in` is memory it reads before it returns; `text` is a string.
 */
export type ParameterKind = 'int' | 'uint' | 'size' | 'u64' | 'address' | 'handle' | 'out' | 'in' | 'text';

/** How each kind is declared to the foreign function interface. */
export const declared: Readonly<Record<ParameterKind, string>> = {
  int: 'int',
  uint: 'unsigned int',
  size: 'size_t',
  u64: 'uint64_t',
  address: 'uint64_t',
  handle: 'void *',
  out: 'void *',
  in: 'void *',
  text: 'const char *',
};

export const driverCalls = {
  cuInit: ['uint'],
  cuDriverGetVersion: ['out'],
  cuDeviceGetCount: ['out'],
  cuDeviceGet: ['out', 'int'],
  cuDeviceGetName: ['out', 'int', 'int'],
  cuDeviceGetAttribute: ['out', 'int', 'int'],
  cuDeviceTotalMem_v2: ['out', 'int'],
  cuDevicePrimaryCtxRetain: ['out', 'int'],
  cuDevicePrimaryCtxRelease_v2: ['int'],
  cuCtxSetCurrent: ['handle'],
  cuMemGetInfo_v2: ['out', 'out'],
  cuMemAlloc_v2: ['out', 'size'],
  cuMemFree_v2: ['address'],
  cuMemAllocHost_v2: ['out', 'size'],
  cuMemFreeHost: ['handle'],
  cuMemcpyHtoDAsync_v2: ['address', 'handle', 'size', 'handle'],
  cuMemcpyDtoHAsync_v2: ['handle', 'address', 'size', 'handle'],
  cuMemsetD8Async: ['address', 'uint', 'size', 'handle'],
  cuStreamCreate: ['out', 'uint'],
  cuStreamDestroy_v2: ['handle'],
  cuStreamSynchronize: ['handle'],
  cuStreamBeginCapture_v2: ['handle', 'int'],
  cuStreamEndCapture: ['handle', 'out'],
  cuGraphInstantiateWithFlags: ['out', 'handle', 'u64'],
  cuGraphLaunch: ['handle', 'handle'],
  cuGraphExecDestroy: ['handle'],
  cuGraphDestroy: ['handle'],
  cuEventCreate: ['out', 'uint'],
  cuEventRecord: ['handle', 'handle'],
  cuEventQuery: ['handle'],
  cuEventSynchronize: ['handle'],
  cuEventElapsedTime: ['out', 'handle', 'handle'],
  cuEventDestroy_v2: ['handle'],
  cuModuleLoadDataEx: ['out', 'in', 'uint', 'in', 'in'],
  cuModuleUnload: ['handle'],
  cuModuleGetFunction: ['out', 'handle', 'text'],
  cuFuncGetAttribute: ['out', 'int', 'handle'],
  cuLaunchKernel: ['handle', 'uint', 'uint', 'uint', 'uint', 'uint', 'uint', 'uint', 'handle', 'handle', 'handle'],
} as const satisfies Readonly<Record<string, readonly ParameterKind[]>>;

export type DriverCall = keyof typeof driverCalls;

interface ArgumentOf {
  int: number;
  uint: number;
  size: number;
  u64: bigint;
  address: bigint;
  handle: bigint | null;
  out: ArrayBufferView;
  in: ArrayBufferView | null;
  text: string;
}

type ArgumentsOf<Kinds extends readonly ParameterKind[]> = { -readonly [I in keyof Kinds]: ArgumentOf[Kinds[I]] };

/** The arguments of a call, one for each parameter. */
export type CallArguments<Name extends DriverCall> = ArgumentsOf<(typeof driverCalls)[Name]>;

/** CUresults that the runtime tells apart. */
export const RESULT = {
  success: 0,
  invalidValue: 1,
  outOfMemory: 2,
  noDevice: 100,
  invalidContext: 201,
  unsupportedPtxVersion: 222,
  notReady: 600,
} as const;

/** CUdevice_attributes. */
export const ATTRIBUTE = {
  threadsPerBlock: 1,
  gridX: 5,
  sharedBytes: 8,
  warpSize: 10,
  clockKilohertz: 13,
  multiprocessors: 16,
  memoryClockKilohertz: 36,
  memoryBusBits: 37,
  l2Bytes: 38,
  major: 75,
  minor: 76,
  sharedBytesOptin: 97,
} as const;

/** CUfunction_attributes. */
export const FUNCTION_ATTRIBUTE = { threadsPerBlock: 0, sharedBytes: 1, localBytes: 3, registers: 4 } as const;

/** CUjit_options: where the PTX compiler puts what it has to say. */
export const JIT = { infoLog: 3, infoLogBytes: 4, errorLog: 5, errorLogBytes: 6 } as const;

/** The stream does not wait for work of the default stream, which others in this process may use. */
export const STREAM_NON_BLOCKING = 1;

/** Capturing a stream forbids unsafe calls to this thread only. */
export const CAPTURE_THREAD_LOCAL = 1;

/** Events that time nothing are cheaper. */
export const EVENT_DISABLE_TIMING = 2;

/**
 * Errors after which the context answers nothing else: an address, instruction or stack gone wrong in a kernel, a launch that
 * timed out, an assertion, memory or a link that failed. Only a new process has a working device again.
 */
export const stickyResults: ReadonlySet<number> = new Set([
  4, 214, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 721, 999,
]);
