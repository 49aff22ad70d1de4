/// <reference types="@webgpu/types" />
/**
 * The instrument: WebGPU's own methods, wrapped on their prototypes, so that whoever uses WebGPU is counted alike and need not
 * know. Work that an encoder records counts when its command buffer is submitted, and not before: what never runs is no work.
 */
import { addTo, type Counts, newTally, type Tally } from './counts.ts';
import { workgroupBytes } from './workgroup-bytes.ts';

/** WebGPU's interface objects: `globalThis` in a page. */
export interface WebGpuInterfaces {
  readonly GPUDevice: { readonly prototype: object };
  readonly GPUQueue: { readonly prototype: object };
  readonly GPUBuffer: { readonly prototype: object };
  readonly GPUCommandEncoder: { readonly prototype: object };
  readonly GPUComputePassEncoder: { readonly prototype: object };
}

export interface Instrument {
  /** What was done since the instrument was installed. */
  readonly counts: Counts;
  /** What could not be counted, such as workgroup memory of a size that is not understood: with any, counts are not to be believed. */
  readonly doubts: readonly string[];
  /** Errors that WebGPU reported and nobody caught. */
  readonly errors: readonly string[];
  /** Dispatches by the label of their pipeline, in order of first use. */
  readonly labels: ReadonlyMap<string, number>;
}

const STORAGE = 0x80;
const MAP_READ = 0x1;
const MAP_WRITE = 0x2;
const READ_MODE = 0x1;

/** A pass while it is recorded. */
interface Pass {
  readonly work: Work;
  pipeline: GPUComputePipeline | undefined;
  readonly groups: Map<number, number>;
}

/** What an encoder has recorded. */
interface Work {
  readonly tally: Tally;
  readonly labels: string[];
}

type Method = (this: object, ...given: never[]) => unknown;

/** Replaces a method by one that is told what was given and what came back. Throws Error where there is no such method. */
function after<Given extends readonly unknown[], Result>(
  { prototype }: { readonly prototype: object },
  name: string,
  told: (self: object, given: Given, result: Result) => void,
): void {
  const original: unknown = Reflect.get(prototype, name);
  if (typeof original !== 'function') throw new Error(`WebGPU has no ${name} to count`);
  const replacement = function (this: object, ...given: unknown[]): unknown {
    const result: unknown = Reflect.apply(original, this, given);
    told(this, given as unknown as Given, result as Result);
    return result;
  } satisfies Method;
  Object.defineProperty(prototype, name, { configurable: true, writable: true, value: replacement });
}

/** Installs the instrument, for good; call once in a page, before anything asks for a device. */
export function instrument(scope: WebGpuInterfaces): Instrument {
  const tally = newTally();
  const doubts: string[] = [];
  const errors: string[] = [];
  const labels = new Map<string, number>();
  const sources = new WeakMap<object, string>();
  const memory = new WeakMap<object, number>();
  const boundBytes = new WeakMap<object, number>();
  const passes = new WeakMap<object, Pass>();
  const encoders = new WeakMap<object, Work>();
  const recorded = new WeakMap<object, Work>();
  const watched = new WeakSet<object>();

  function workOf(encoder: object): Work {
    const known = encoders.get(encoder);
    if (known) return known;
    const fresh: Work = { tally: newTally(), labels: [] };
    encoders.set(encoder, fresh);
    return fresh;
  }

  function passOf(encoder: object): Pass {
    const pass = passes.get(encoder);
    if (!pass) throw new Error('a compute pass that no wrapped encoder began');
    return pass;
  }

  /** Workgroup memory belongs to the pipeline: it depends on the entry point and its constants. */
  function learn(descriptor: GPUComputePipelineDescriptor, pipeline: GPUComputePipeline): void {
    const { module, entryPoint, constants } = descriptor.compute;
    try {
      const overrides = Object.fromEntries(Object.entries(constants ?? {}));
      memory.set(pipeline, workgroupBytes(sources.get(module) ?? '', entryPoint, overrides));
    } catch (error) {
      memory.set(pipeline, 0);
      doubts.push(`${descriptor.label ?? 'a pipeline'}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  const { GPUDevice, GPUQueue, GPUBuffer, GPUCommandEncoder, GPUComputePassEncoder } = scope;

  after<[GPUShaderModuleDescriptor], GPUShaderModule>(GPUDevice, 'createShaderModule', (self, [{ code }], module) => {
    watch(self);
    tally.modules++;
    sources.set(module, code);
  });
  after<[GPUComputePipelineDescriptor], GPUComputePipeline>(
    GPUDevice,
    'createComputePipeline',
    (_, [descriptor], pipeline) => {
      tally.pipelines++;
      learn(descriptor, pipeline);
    },
  );
  after<[GPUComputePipelineDescriptor], Promise<GPUComputePipeline>>(
    GPUDevice,
    'createComputePipelineAsync',
    (_, [descriptor], promise) => {
      tally.pipelines++;
      promise.then(
        (pipeline) => learn(descriptor, pipeline),
        () => undefined,
      );
    },
  );
  after<[GPUBindGroupDescriptor], GPUBindGroup>(GPUDevice, 'createBindGroup', (_, [{ entries }], group) => {
    tally.bindGroups++;
    let bytes = 0;
    for (const { resource } of entries) {
      const binding = bufferBinding(resource);
      if (binding && (binding.buffer.usage & STORAGE) !== 0)
        bytes += binding.size ?? binding.buffer.size - (binding.offset ?? 0);
    }
    boundBytes.set(group, bytes);
  });
  after<[GPUBufferDescriptor], GPUBuffer>(GPUDevice, 'createBuffer', (self, [{ size }]) => {
    watch(self);
    tally.buffers++;
    tally.bufferBytes += size;
  });

  /** An error that nobody catches would leave work undone and counted. */
  function watch(device: object): void {
    if (watched.has(device) || !('addEventListener' in device)) return;
    watched.add(device);
    (device as GPUDevice).addEventListener('uncapturederror', ({ error }) => errors.push(error.message));
  }

  after<[GPUComputePassDescriptor?], GPUComputePassEncoder>(GPUCommandEncoder, 'beginComputePass', (self, _, pass) => {
    const work = workOf(self);
    work.tally.passes++;
    passes.set(pass, { work, pipeline: undefined, groups: new Map() });
  });
  // Render work is nobody's here; were it, these counts would leave it out in silence.
  after<[unknown], unknown>(GPUCommandEncoder, 'beginRenderPass', () => doubts.push('a render pass'));
  after<[GPUBuffer, ...unknown[]], void>(GPUCommandEncoder, 'copyBufferToBuffer', (self, given) => {
    // (source, target, size?) or (source, sourceOffset, target, targetOffset, size?).
    const short = typeof given[1] === 'object';
    const source = given[0];
    const target = (short ? given[1] : given[2]) as GPUBuffer;
    const offset = short ? 0 : (given[1] as number);
    const size = ((short ? given[2] : given[4]) as number | undefined) ?? source.size - offset;
    const part = workOf(self).tally;
    part.copies++;
    if ((target.usage & MAP_READ) !== 0) part.bytesRead += size;
    if ((source.usage & MAP_WRITE) !== 0) part.bytesWritten += size;
  });
  after<[GPUBuffer], void>(GPUCommandEncoder, 'clearBuffer', (self) => {
    workOf(self).tally.copies++;
  });
  after<[], GPUCommandBuffer>(GPUCommandEncoder, 'finish', (self, _, buffer) => recorded.set(buffer, workOf(self)));

  after<[GPUComputePipeline], void>(GPUComputePassEncoder, 'setPipeline', (self, [pipeline]) => {
    passOf(self).pipeline = pipeline;
  });
  after<[number, GPUBindGroup | null], void>(GPUComputePassEncoder, 'setBindGroup', (self, [index, group]) => {
    passOf(self).groups.set(index, group === null ? 0 : (boundBytes.get(group) ?? 0));
  });
  const dispatched = (self: object): void => {
    const { work, pipeline, groups } = passOf(self);
    work.tally.dispatches++;
    for (const bytes of groups.values()) work.tally.bytesBound += bytes;
    work.tally.workgroupBytes += (pipeline && memory.get(pipeline)) ?? 0;
    work.labels.push(pipeline?.label ?? '');
  };
  after(GPUComputePassEncoder, 'dispatchWorkgroups', dispatched);
  after(GPUComputePassEncoder, 'dispatchWorkgroupsIndirect', dispatched);

  after<[Iterable<GPUCommandBuffer>], void>(GPUQueue, 'submit', (_, [buffers]) => {
    tally.submissions++;
    for (const buffer of buffers) {
      tally.commandBuffers++;
      const work = recorded.get(buffer);
      if (!work) {
        doubts.push('a command buffer that no wrapped encoder finished');
        continue;
      }
      addTo(tally, work.tally);
      for (const label of work.labels) labels.set(label, (labels.get(label) ?? 0) + 1);
    }
  });
  after<[GPUBuffer, number, ArrayBuffer | ArrayBufferView, number?, number?], void>(
    GPUQueue,
    'writeBuffer',
    (_, [, , data, offset = 0, size]) => {
      // Offset and size are in elements of a typed array, in bytes of anything else.
      const unit = 'BYTES_PER_ELEMENT' in data ? Number(data.BYTES_PER_ELEMENT) : 1;
      tally.bytesWritten += size === undefined ? data.byteLength - offset * unit : size * unit;
    },
  );
  after<[number], Promise<void>>(GPUBuffer, 'mapAsync', (_, [mode]) => {
    if ((mode & READ_MODE) !== 0) tally.readbacks++;
  });

  return {
    get counts() {
      return { ...tally };
    },
    doubts,
    errors,
    labels,
  };
}

/** The buffer that a bind group entry binds, if it binds one. */
function bufferBinding(resource: GPUBindingResource): GPUBufferBinding | undefined {
  if ('buffer' in resource && typeof resource.buffer === 'object') return resource;
  return 'usage' in resource && 'mapState' in resource ? { buffer: resource } : undefined;
}
