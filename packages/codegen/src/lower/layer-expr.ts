/** Questions about Layer IR expressions that strategies ask: what they mention, whether two are equal, what is in them. */
import { childrenOf, type Expr, type LayerIR, type Statement } from '@espalier/ir';

export function visit(e: Expr, see: (e: Expr) => void): void {
  see(e);
  for (const child of childrenOf(e)) visit(child, see);
}

/** Whether an expression mentions one of these indices or locals. */
export function mentionsAny(e: Expr, names: ReadonlySet<string>): boolean {
  if ((e.kind === 'index' || e.kind === 'local') && names.has(e.name)) return true;
  return childrenOf(e).some((child) => mentionsAny(child, names));
}

/** Every access in an expression. */
export function accessesOf(e: Expr): readonly Extract<Expr, { kind: 'access' }>[] {
  const found: Extract<Expr, { kind: 'access' }>[] = [];
  visit(e, (x) => {
    if (x.kind === 'access') found.push(x);
  });
  return found;
}

/** Text that is equal for expressions that are equal up to the names of indices and locals they bind themselves. */
export function alphaKey(e: Expr, bound: ReadonlyMap<string, string> = new Map()): string {
  const bind = (names: readonly string[]): Map<string, string> => {
    const inner = new Map(bound);
    for (const name of names) inner.set(name, `%${inner.size}`);
    return inner;
  };
  switch (e.kind) {
    case 'literal':
      return `${Object.is(e.value, -0) ? '-0' : e.value}:${e.type}`;
    case 'index':
    case 'local':
      return bound.get(e.name) ?? e.name;
    case 'size':
      return `#${JSON.stringify(e.size)}`;
    case 'access':
      return `${e.tensor}[${e.indices.map((i) => alphaKey(i, bound)).join(',')}]`;
    case 'op':
      return `${e.op}(${e.args.map((a) => alphaKey(a, bound)).join(',')})`;
    case 'select':
      return `select(${[e.condition, e.then, e.otherwise].map((a) => alphaKey(a, bound)).join(',')})`;
    case 'reduce': {
      const inner = bind(e.indices.map((i) => i.name));
      return `${e.op}<${e.indices.map((i) => JSON.stringify(i.size)).join(',')}>(${alphaKey(e.body, inner)})`;
    }
    case 'descend': {
      const inner = bind([e.node, ...e.lets.map((l) => l.name)]);
      const part = (x: Expr | null): string => (x === null ? '' : alphaKey(x, inner));
      const lets = e.lets.map((l) => part(l.value)).join(';');
      return `descend<${JSON.stringify(e.levels)}>(${alphaKey(e.init, bound)};${lets};${part(e.yield)};${part(e.next)};${part(e.result)};${e.trace?.nodes ?? ''})`;
    }
  }
}

/** The tensors a statement reads. */
export const readsOf = (s: Statement): ReadonlySet<string> => new Set(accessesOf(s.value).map((a) => a.tensor));

/** The tensors a statement writes: its target and the records of its descents. */
export function writesOf(s: Statement): readonly string[] {
  const names = [s.target];
  visit(s.value, (e) => {
    if (e.kind === 'descend' && e.trace !== null) names.push(e.trace.nodes, e.trace.scores);
  });
  return [...new Set(names)];
}

/** "linear.layer:3:21" of a span. */
export function placeOf(layer: LayerIR, span: { readonly source: string; readonly start: number }): string {
  const text = layer.sources.find((s) => s.name === span.source)?.text ?? '';
  const before = text.slice(0, span.start).split('\n');
  return `${span.source}:${before.length}:${(before.at(-1)?.length ?? 0) + 1}`;
}

/** The source text of a span on one line. */
export function textOf(
  layer: LayerIR,
  span: { readonly source: string; readonly start: number; readonly end: number },
): string {
  const text = layer.sources.find((s) => s.name === span.source)?.text ?? '';
  return text.slice(span.start, span.end).replace(/\s+/g, ' ').trim();
}
