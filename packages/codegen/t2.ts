import { standardLayer } from '@espalier/ir';
import { compile, wasm } from './src/index.ts';
const a = await compile(standardLayer('linear', { dims: { D: 768, O: 768 } }), { target: wasm });
console.log(a.source);
