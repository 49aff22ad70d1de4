/**
 * The languages that are coloured, as tables: what a comment looks like and which words mean what. A few words too many
 * or too few only change a colour.
 */

/** What a piece of text is. */
export type Role = 'plain' | 'comment' | 'keyword' | 'type' | 'number' | 'string' | 'name' | 'builtin';

/** Patterns are tried in order at each place; the first that matches (something) wins. */
export type Language = readonly { readonly role: Role; readonly pattern: RegExp }[];

const words = (list: string): RegExp => new RegExp(`(?:${list.trim().split(/\s+/).join('|')})\\b`, 'y');

const number = /(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)[uif]?\b/y;
const lineComment = /\/\/[^\n]*/y;
const blockComment = /\/\*[\s\S]*?(?:\*\/|$)/y;
const word = /[\p{L}_][\p{L}\p{N}_]*/uy;
const call = /[\p{L}_][\p{L}\p{N}_]*(?=\()/uy;

/** The layer language. Two spaces and two slashes begin a comment, or a line that begins with them; else `//` divides. */
const layer: Language = [
  { role: 'comment', pattern: /(?<=^[ \t]*|\n[ \t]*| {2})\/\/[^\n]*/y },
  {
    role: 'keyword',
    pattern: words('layer fn let input weight output descend for yield return if then else in and or not true false'),
  },
  { role: 'builtin', pattern: words('sum prod max min argmax argmin') },
  { role: 'type', pattern: words('f32 f16 i32 i8 bool') },
  { role: 'name', pattern: call },
  { role: 'number', pattern: number },
  { role: 'plain', pattern: word },
];

const kernelIr: Language = [
  { role: 'comment', pattern: /(?<=\) |^\s*|\n\s*)\/\/ [^\n]*/y },
  { role: 'keyword', pattern: words('kernel for if else let var in by check fault barrier mma fragment and or') },
  {
    role: 'keyword',
    pattern: words(
      'global workgroup subgroup private scratch grid lane read write read_write packed of subgroups lanes',
    ),
  },
  { role: 'type', pattern: /(?:f32|f16|i32|i8|bool)(?:x\d+)?\b/y },
  { role: 'builtin', pattern: /@\w+/y },
  { role: 'name', pattern: call },
  { role: 'number', pattern: /-?Infinity\b|NaN\b/y },
  { role: 'number', pattern: number },
  { role: 'plain', pattern: word },
];

const wat: Language = [
  { role: 'comment', pattern: /;;[^\n]*/y },
  { role: 'comment', pattern: /\(;[\s\S]*?(?:;\)|$)/y },
  { role: 'string', pattern: /"(?:[^"\\]|\\.)*"/y },
  { role: 'name', pattern: /\$[^\s()]+/y },
  { role: 'builtin', pattern: /(?:[if](?:32|64|8x16|16x8|32x4|64x2)|v128|local|global|memory)\.[\w.]+/y },
  {
    role: 'keyword',
    pattern: words(
      'module func param result local import export memory type table elem data global mut block loop if then else end br br_if return call shared',
    ),
  },
  { role: 'type', pattern: words('i32 i64 f32 f64 v128') },
  { role: 'number', pattern: /[+-]?(?:inf|nan)\b/y },
  { role: 'number', pattern: /[+-]?(?:0x[0-9a-fA-F.p+-]+|\d[\d_]*(?:\.\d*)?(?:[eE][+-]?\d+)?)/y },
  { role: 'plain', pattern: /[^\s()";$]+/y },
];

const wgsl: Language = [
  { role: 'comment', pattern: lineComment },
  { role: 'comment', pattern: blockComment },
  { role: 'builtin', pattern: /@\w+/y },
  {
    role: 'keyword',
    pattern: words(
      'alias break case const continue continuing default diagnostic discard else enable fn for if let loop override requires return struct switch var while true false',
    ),
  },
  { role: 'keyword', pattern: words('storage uniform workgroup private function read write read_write') },
  { role: 'type', pattern: /(?:f32|f16|i32|u32|bool|(?:vec[234]|mat[234]x[234])[fiuh]?|array|atomic|ptr)\b/y },
  { role: 'name', pattern: call },
  { role: 'number', pattern: number },
  { role: 'plain', pattern: word },
];

const cuda: Language = [
  { role: 'comment', pattern: lineComment },
  { role: 'comment', pattern: blockComment },
  { role: 'string', pattern: /"(?:[^"\\\n]|\\.)*"/y },
  { role: 'keyword', pattern: /#\s*\w+/y },
  { role: 'keyword', pattern: /__(?:global|device|shared|restrict|launch_bounds|forceinline|constant)__\b/y },
  {
    role: 'keyword',
    pattern: words(
      'break case const constexpr continue default do else extern for if return static struct switch template typename using volatile while',
    ),
  },
  { role: 'builtin', pattern: /(?:threadIdx|blockIdx|blockDim|gridDim|warpSize)\b/y },
  {
    role: 'type',
    pattern:
      /(?:void|bool|char|short|int|unsigned|signed|long|float[234]?|double|int[234]|u?int\d*_t|size_t|__half2?|half2?)\b/y,
  },
  { role: 'name', pattern: call },
  { role: 'number', pattern: number },
  { role: 'plain', pattern: word },
];

/** Languages by the extension of their files; the Kernel IR's is "kernel". */
export const languages: Readonly<Record<string, Language>> = { layer, kernel: kernelIr, wat, wgsl, cu: cuda };
