/** Where things lie in a bundle that both the bundler and the stages know. */

/** The folder of onnxruntime-web, and the files that its WebGPU provider is made of; the first is what is imported. */
export const ORT_FOLDER = 'onnxruntime-web';
export const ortFiles = [
  'ort.webgpu.min.mjs',
  'ort-wasm-simd-threaded.asyncify.mjs',
  'ort-wasm-simd-threaded.asyncify.wasm',
] as const;

/** The folder of Vulkan's loader, for machines that have none, and its name. */
export const VULKAN_FOLDER = 'vulkan';
export const VULKAN_LOADER = 'libvulkan.so.1';
