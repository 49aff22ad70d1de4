/** What an application needs to load and run compiled layers and graphs, kept by bundlers because a page may ask for any of it. */
import { artefactFromFiles, decodeGraph } from '@espalier/artefact';
import { loadGraph, loadLayer } from '@espalier/runtime';
import { openWasm } from '@espalier/runtime-wasm';

Object.assign(globalThis, { artefactFromFiles, decodeGraph, loadGraph, loadLayer, openWasm });
