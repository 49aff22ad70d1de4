/** Helpers of the front end's tests. */
import {
  checkModule,
  DiagnosticError,
  type ElaborateArgs,
  type Expr,
  type LayerIR,
  layerFromText,
} from '../../src/index.ts';

/** The value without spans and sources, for comparing trees. */
export function withoutPlaces(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (key, v: unknown) =>
      key === 'span' || key === 'source' || key === 'sources' ? undefined : v,
    ),
  );
}

/** A layer around statements; dims are those a test binds or leaves open. */
export const layerText = (params: string, ...statements: readonly string[]): string =>
  `layer l(${params}) {\n${statements.map((s) => `  ${s}\n`).join('')}}\n`;

/** The value of the last statement of a layer. */
export function lastValue(text: string, args: ElaborateArgs = {}): Expr {
  const last = layerFromText(text, args).statements.at(-1);
  if (last === undefined) throw new Error('a layer without statements');
  return last.value;
}

/** The codes that elaboration, or the generic check where no arguments are given, reports. */
export function codesOf(text: string, args?: ElaborateArgs): readonly string[] {
  if (args === undefined) return checkModule(text).map((d) => d.code);
  try {
    layerFromText(text, args);
    return [];
  } catch (error) {
    if (error instanceof DiagnosticError) return error.diagnostics.map((d) => d.code);
    throw error;
  }
}

/** All accesses of a layer as "tensor: inBounds…", in order, shared parts once. */
export function boundsOf(layer: LayerIR): readonly string[] {
  const out: string[] = [];
  const seen = new Set<Expr>();
  const visit = (e: Expr): void => {
    if (seen.has(e)) return;
    seen.add(e);
    switch (e.kind) {
      case 'access':
        out.push(`${e.tensor} ${e.inBounds.map((b) => (b ? 'y' : 'n')).join('')}`);
        e.indices.forEach(visit);
        return;
      case 'op':
        e.args.forEach(visit);
        return;
      case 'select':
        [e.condition, e.then, e.otherwise].forEach(visit);
        return;
      case 'reduce':
        visit(e.body);
        return;
      case 'descend':
        visit(e.init);
        for (const l of e.lets) visit(l.value);
        for (const part of [e.yield, e.next, e.result]) if (part !== null) visit(part);
        return;
      default:
        return;
    }
  };
  for (const s of layer.statements) visit(s.value);
  return out;
}
