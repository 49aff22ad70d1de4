/**
 * Syntax tree to canonical text. Reading the text again gives the same tree up to spans; comments are not part of it.
 * Parentheses are written exactly where the grammar needs them.
 */
import type {
  BinaryOperator,
  BinderSyntax,
  DeclarationSyntax,
  ExprSyntax,
  FunctionSyntax,
  LayerSyntax,
  Module,
  OptionValueSyntax,
  StatementSyntax,
} from './ast.ts';

/** How tightly a construct binds; an operand is parenthesised when it binds less than its place asks for. */
const level = { if: 0, or: 1, and: 2, not: 3, compare: 4, add: 5, mul: 6, unary: 7, power: 8, primary: 9 } as const;

const binaryLevel: { readonly [K in BinaryOperator]: number } = {
  or: level.or,
  and: level.and,
  '==': level.compare,
  '!=': level.compare,
  '<': level.compare,
  '<=': level.compare,
  '>': level.compare,
  '>=': level.compare,
  '+': level.add,
  '-': level.add,
  '*': level.mul,
  '/': level.mul,
  '//': level.mul,
  '%': level.mul,
  '^': level.power,
};

/** An f32 number keeps a point or an exponent, so that it is read as f32 again. */
export function printNumber(value: number, type: 'i32' | 'f32'): string {
  const text = String(value);
  return type === 'f32' && /^-?[0-9]+$/.test(text) ? `${text}.0` : text;
}

const at = (text: string, own: number, wanted: number): string => (own < wanted ? `(${text})` : text);

/** An expression as text for a place that binds at least as tightly as `wanted`; `indent` is for descents. */
export function printExpr(e: ExprSyntax, wanted: number = level.if, indent = '  '): string {
  const sub = (inner: ExprSyntax, need: number): string => printExpr(inner, need, indent);
  switch (e.kind) {
    case 'number':
      return printNumber(e.value, e.type);
    case 'bool':
      return String(e.value);
    case 'name':
      return e.name;
    case 'call':
      return `${e.callee.text}(${e.args.map((a) => sub(a, level.if)).join(', ')})`;
    case 'access':
      return `${e.tensor.text}[${e.indices.map((a) => sub(a, level.if)).join(', ')}]`;
    case 'unary':
      return e.op === 'not'
        ? at(`not ${sub(e.operand, level.not)}`, level.not, wanted)
        : at(`-${sub(e.operand, level.unary)}`, level.unary, wanted);
    case 'binary': {
      const own = binaryLevel[e.op];
      if (e.op === '^') return at(`${sub(e.left, level.primary)}^${sub(e.right, level.unary)}`, own, wanted);
      const left = own === level.compare ? own + 1 : own;
      return at(`${sub(e.left, left)} ${e.op} ${sub(e.right, own + 1)}`, own, wanted);
    }
    case 'if':
      return at(
        `if ${sub(e.condition, level.if)} then ${sub(e.then, level.if)} else ${sub(e.otherwise, level.if)}`,
        level.if,
        wanted,
      );
    case 'reduce': {
      // A reduction takes all factors to its right, so only the last factor of a product may be a bare one.
      const bare = e.body.kind === 'if' || e.body.kind === 'reduce' || e.body.kind === 'descend';
      const body = sub(e.body, bare ? level.if : level.mul);
      return at(`${e.op} ${e.indices.map(printBinder).join(', ')}: ${body}`, level.if, wanted);
    }
    case 'descend': {
      const inner = `${indent}  `;
      const steps = [
        ...e.lets.map((l) => `${l.name.text} = ${printExpr(l.value, level.if, inner)}`),
        ...(e.yield === null ? [] : [`yield ${printExpr(e.yield, level.if, inner)}`]),
        `${e.node.text} <- ${printExpr(e.next, level.if, inner)}`,
      ];
      const end = e.result === null ? '' : ` return ${sub(e.result, level.if)}`;
      const text = `descend ${e.node.text} = ${sub(e.init, level.if)} for ${sub(e.levels, level.if)} {\n${steps
        .map((s) => `${inner}${s}\n`)
        .join('')}${indent}}${end}`;
      return at(text, level.if, wanted);
    }
  }
}

const printBinder = (b: BinderSyntax): string =>
  b.size === null ? b.name.text : `${b.name.text} in ${printExpr(b.size)}`;

function printDeclaration(d: DeclarationSyntax): string {
  const storage = d.storage === 'f32' ? '' : `: ${d.storage}`;
  const value = d.default === null ? '' : ` = ${printExpr(d.default)}`;
  return `${d.name.text}[${d.shape.map((s) => printExpr(s)).join(', ')}]${storage}${value}`;
}

function printStatement(s: StatementSyntax): string {
  switch (s.kind) {
    case 'let':
      return `let ${s.name.text} = ${printExpr(s.value)}`;
    case 'input':
    case 'weight':
      return `${s.kind} ${s.tensors.map(printDeclaration).join(', ')}`;
    case 'define':
      return `${s.role === 'output' ? 'output ' : ''}${s.target.text}[${s.axes.map(printBinder).join(', ')}] = ${printExpr(s.value)}`;
  }
}

function printOptionValue(v: OptionValueSyntax): string {
  switch (v.kind) {
    case 'number':
      return printNumber(v.value, v.type);
    case 'bool':
      return String(v.value);
    case 'function':
      return v.name;
  }
}

const printFunction = (f: FunctionSyntax): string =>
  `fn ${f.name.text}(${f.params.map((p) => p.text).join(', ')}) = ${printExpr(f.body)}\n`;

function printLayer(l: LayerSyntax): string {
  const options = l.options.map((o) => `${o.name.text} = ${printOptionValue(o.value)}`).join(', ');
  const head = `${l.dims.map((d) => d.text).join(', ')}${options === '' ? '' : `; ${options}`}`;
  const body = l.statements.map((s) => `  ${printStatement(s)}\n`).join('');
  return `layer ${l.name.text}(${head}) {\n${body}}\n`;
}

/** The canonical text of a module. */
export function printModule(module: Pick<Module, 'items'>): string {
  let out = '';
  for (const [i, item] of module.items.entries()) {
    const apart = i > 0 && !(item.kind === 'function' && module.items[i - 1]?.kind === 'function');
    out += `${apart ? '\n' : ''}${item.kind === 'function' ? printFunction(item) : printLayer(item)}`;
  }
  return out;
}
