/** Names of Kernel IR as C++ identifiers: those that are none, or mean something to a compiler, get another spelling. */
import type { Kernel } from '../../kernel-ir/types.ts';
import { namesDefined } from '../../kernel-ir/walk.ts';

const RESERVED: ReadonlySet<string> = new Set(
  [
    // C++20, alternative tokens included.
    'alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t char32_t class compl concept',
    'const consteval constexpr constinit const_cast continue co_await co_return co_yield decltype default delete do double',
    'dynamic_cast else enum explicit export extern false float for friend goto if inline int long mutable namespace new noexcept',
    'not not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires return short signed sizeof',
    'static static_assert static_cast struct switch template this thread_local throw true try typedef typeid typename union',
    'unsigned using virtual void volatile wchar_t while xor xor_eq',
    // Macros of compilers in their default modes, and of the headers that nvcc includes unasked.
    'linux unix i386 NULL EOF INFINITY NAN assert errno stdin stdout stderr BUFSIZ MAXFLOAT NZERO NFDBITS SNAN SNANF SNANL CUDARTAPI',
    'SNANF32 SNANF32X SNANF64 SNANF64X L_ctermid L_cuserid L_tmpnam P_tmpdir',
    'WCONTINUED WEXITED WNOHANG WNOWAIT WSTOPPED WUNTRACED offsetof math_errhandling',
    // What the printed text itself uses.
    'espalier each threadIdx blockIdx blockDim gridDim warpSize min max abs fabsf floorf fmaf rintf sqrtf atomicCAS float2 float4',
    'int2 int4 size_t main',
  ].flatMap((line) => line.split(' ')),
);

/** The other macros of those headers, M_PI, INT_MAX, LINE_MAX and hundreds more, look like this. */
const MACRO = /^(?:[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*_[A-Z][A-Z0-9]*|M_\w*[A-Z]\w*|cuda[A-Z]\w*)$/;

/** Gives every name of a kernel, and any other that is asked for, an identifier of its own. */
export class Identifiers {
  readonly #taken = new Set<string>();
  readonly #known = new Map<string, string>();

  constructor(kernel: Kernel) {
    for (const name of [...kernel.buffers.map((b) => b.name), ...kernel.dims, ...namesDefined(kernel.body)])
      this.of(name);
    this.#taken.add(kernel.name);
  }

  /** The identifier of a name; the same each time. */
  of(name: string): string {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const made = this.fresh(name);
    this.#known.set(name, made);
    return made;
  }

  /** An identifier that nothing else has. */
  fresh(name: string): string {
    const letters = name.replaceAll(/[^A-Za-z0-9_]/g, '_');
    // Leading underscores and doubled ones are the implementation's.
    const legal = letters
      .replaceAll(/_{2,}/g, '_')
      .replace(/^(?=[0-9])/, 'n')
      .replace(/^_/, 'u_');
    let identifier = RESERVED.has(legal) || MACRO.test(legal) ? `${legal}_` : legal;
    for (let i = 1; this.#taken.has(identifier); i++) identifier = `${legal}_${i}`;
    this.#taken.add(identifier);
    return identifier;
  }
}
