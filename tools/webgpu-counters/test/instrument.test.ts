/** The instrument on a WebGPU that does nothing: what it counts, when, and what it doubts. */
import { describe, expect, it } from 'vitest';
import { between } from '../src/counts.ts';
import { instrument } from '../src/instrument.ts';

const STORAGE = 0x80;
const UNIFORM = 0x40;
const MAP_READ = 0x1;
const MAP_WRITE = 0x2;

/** Fresh classes with WebGPU's methods, none of which does anything. */
function nothing() {
  class GPUBuffer {
    readonly size: number;
    readonly usage: number;
    readonly mapState = 'unmapped';
    constructor(size: number, usage: number) {
      this.size = size;
      this.usage = usage;
    }
    async mapAsync(_mode: number): Promise<void> {}
  }
  class GPUComputePassEncoder {
    setPipeline(_pipeline: object): void {}
    setBindGroup(_index: number, _group: object | null): void {}
    dispatchWorkgroups(_x: number): void {}
    dispatchWorkgroupsIndirect(_buffer: object, _offset: number): void {}
  }
  class GPUCommandEncoder {
    beginComputePass(): GPUComputePassEncoder {
      return new GPUComputePassEncoder();
    }
    beginRenderPass(): object {
      return {};
    }
    copyBufferToBuffer(..._given: unknown[]): void {}
    clearBuffer(_buffer: object): void {}
    finish(): object {
      return {};
    }
  }
  class GPUQueue {
    submit(_buffers: readonly object[]): void {}
    writeBuffer(..._given: unknown[]): void {}
  }
  class GPUDevice extends EventTarget {
    readonly queue = new GPUQueue();
    createShaderModule(_descriptor: object): object {
      return {};
    }
    createComputePipeline({ label }: { readonly label: string }): object {
      return { label };
    }
    async createComputePipelineAsync({ label }: { readonly label: string }): Promise<object> {
      return { label };
    }
    createBindGroup(_descriptor: object): object {
      return {};
    }
    createBuffer({ size, usage }: { readonly size: number; readonly usage: number }): GPUBuffer {
      return new GPUBuffer(size, usage);
    }
    createCommandEncoder(): GPUCommandEncoder {
      return new GPUCommandEncoder();
    }
  }
  return { GPUDevice, GPUQueue, GPUBuffer, GPUCommandEncoder, GPUComputePassEncoder };
}

const shader = 'var<workgroup> a: array<f32, 8>; @compute @workgroup_size(8) fn main() { a[0] = 1; }';

describe('the instrument', () => {
  it('counts what is submitted, when it is submitted', async () => {
    const scope = nothing();
    const counted = instrument(scope);
    const device = new scope.GPUDevice();
    const module = device.createShaderModule({ code: shader });
    const pipeline = await device.createComputePipelineAsync(
      Object.assign({ label: 'kernel' }, { compute: { module, entryPoint: 'main' } }),
    );
    const large = device.createBuffer({ size: 1024, usage: STORAGE });
    const sizes = device.createBuffer({ size: 16, usage: UNIFORM });
    const entries = [
      { binding: 0, resource: { buffer: large, offset: 256, size: 512 } },
      { binding: 1, resource: { buffer: large, offset: 256 } },
      { binding: 2, resource: large },
      { binding: 3, resource: { buffer: sizes } },
    ];
    const group = device.createBindGroup({ entries });
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(3);
    pass.dispatchWorkgroupsIndirect(large, 0);
    const before = counted.counts;
    expect(before).toMatchObject({ pipelines: 1, modules: 1, bindGroups: 1, buffers: 2, bufferBytes: 1040 });
    expect(before).toMatchObject({ dispatches: 0, passes: 0, bytesBound: 0, submissions: 0 });
    device.queue.submit([encoder.finish()]);
    device.queue.submit([]);
    expect(between(before, counted.counts)).toMatchObject({
      submissions: 2,
      commandBuffers: 1,
      passes: 1,
      dispatches: 2,
      bytesBound: 2 * (512 + 768 + 1024),
      workgroupBytes: 2 * 32,
      pipelines: 0,
    });
    expect([...counted.labels]).toEqual([['kernel', 2]]);
    expect(counted.doubts).toEqual([]);
  });

  it('tells journeys of the host from copies', async () => {
    const scope = nothing();
    const counted = instrument(scope);
    const device = new scope.GPUDevice();
    const [from, to, staging, filled] = [STORAGE, STORAGE, MAP_READ, MAP_WRITE].map((usage) =>
      device.createBuffer({ size: 64, usage }),
    );
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(from, 0, to, 0, 32);
    encoder.copyBufferToBuffer(from, 16, staging, 0, 48);
    encoder.copyBufferToBuffer(from, staging);
    encoder.copyBufferToBuffer(filled, to, 8);
    encoder.clearBuffer(to as object);
    device.queue.submit([encoder.finish()]);
    device.queue.writeBuffer(to, 0, new Float32Array(5), 1, 3);
    device.queue.writeBuffer(to, 0, new Float32Array(5), 1);
    device.queue.writeBuffer(to, 0, new ArrayBuffer(10));
    await staging?.mapAsync(1);
    await filled?.mapAsync(2);
    expect(counted.counts).toMatchObject({
      copies: 5,
      bytesRead: 48 + 64,
      bytesWritten: 8 + 12 + 16 + 10,
      readbacks: 1,
    });
  });

  it('doubts itself where it cannot count, and keeps errors that nobody caught', () => {
    const scope = nothing();
    const counted = instrument(scope);
    const device = new scope.GPUDevice();
    const module = device.createShaderModule({ code: shader.replace('8>', 'size>') });
    device.createComputePipeline(Object.assign({ label: 'odd' }, { compute: { module } }));
    device.createCommandEncoder().beginRenderPass();
    device.queue.submit([{}]);
    device.dispatchEvent(Object.assign(new Event('uncapturederror'), { error: { message: 'out of order' } }));
    expect(counted.doubts).toEqual([
      'odd: size size is not understood',
      'a render pass',
      'a command buffer that no wrapped encoder finished',
    ]);
    expect(counted.errors).toEqual(['out of order']);
  });
});
