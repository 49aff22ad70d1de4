/** Whose forwards on WebGPU are timed, in subjects of checks. */
export const OURS_ON_WEBGPU = 'espalier, WebGPU';
export const ORT_ON_WEBGPU = 'onnxruntime-web, WebGPU';
