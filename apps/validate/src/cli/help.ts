/** What `--help` says. */
import { DEFAULT_REPORT } from './arguments.ts';

export const helpText = `pnpm validate [checkpoint…] [options]

Runs a checkpoint on generated kernels and compares it, layer by layer, with golden data of the
original program, the float64 interpreter and ONNX Runtime: routes through trees first, then values,
then the final outputs.

checkpoint         a folder (config.json and model.safetensors), a .safetensors file, a model of the
                   Hub (org/name), or a folder of golden data; none: the models that come along
--golden FILE      golden data to compare with, in place of golden*.safetensors beside the model
--text "…"         a text to run and to show the answer of; may be given several times
--targets LIST     wasm,wasm:plain,wasm:threads=2 (the default), wasm:wide, webgpu, webgpu:plain,
                   chromium:wasm, chromium:webgpu, cuda, cuda-host, simulator, simulator:wgsl,
                   simulator:cuda; all: every one that this machine has
--report DIR       where the HTML report and repro files go (default ${DEFAULT_REPORT})
--no-report        write neither
--json FILE        the results as JSON
--outputs DIR      what each target computed, as safetensors under the names of golden data
--repro FILE       run a repro file again and say whether it still fails
--verbose, -v      every comparison of every run in full
--no-timing        leave out the timing runs
--no-color         no colours (NO_COLOR is honoured too)
--help, -h         this text

Exit code: 0 all agree, 1 a difference or a run that failed, 2 a mistake in the arguments or input.
`;
