/**
 * Names as WGSL takes them. A layer may call things what it likes; WGSL reserves many words, and a local name that is
 * also the name of a built-in function, of a buffer or of a helper would hide it.
 */

const words = (text: string): readonly string[] => text.split(/\s+/).filter((word) => word !== '');

/** Keywords and reserved words (WGSL, sections 15.1 and 15.2), and the built-in names that printed kernels use. */
const TAKEN: ReadonlySet<string> = new Set(
  words(`
    alias break case const const_assert continue continuing default diagnostic discard else enable false fn for if let loop
    override requires return struct switch true var while
    NULL Self abstract active alignas alignof as asm asm_fragment async attribute auto await become cast catch class
    co_await co_return co_yield coherent column_major common compile compile_fragment concept const_cast consteval
    constexpr constinit crate debugger decltype delete demote demote_to_helper do dynamic_cast enum explicit export extends
    extern external fallthrough filter final finally friend from fxgroup get goto groupshared highp impl implements import
    inline instanceof interface layout lowp macro macro_rules match mediump meta mod module move mut mutable namespace new
    nil noexcept noinline nointerpolation non_coherent noncoherent noperspective null nullptr of operator package
    packoffset partition pass patch pixelfragment precise precision premerge priv protected pub public readonly ref regardless
    register reinterpret_cast require resource restrict self set shared sizeof smooth snorm static static_assert
    static_cast std subroutine super target template this thread_local throw trait try type typedef typeid typename typeof
    union unless unorm unsafe unsized use using varying virtual volatile wgsl where with writeonly yield
    array atomic bool f16 f32 i32 u32 vec2 vec3 vec4 vec2f vec4f vec2i vec4i vec2u vec3u vec4u vec2h vec4h
    abs atomicMax bitcast extractBits floor fma max min round select sqrt storageBarrier subgroupAdd
    subgroupExclusiveAdd subgroupElect subgroupMax subgroupMin subgroupMul subgroupOr unpack2x16float workgroupBarrier
    workgroupUniformLoad
  `),
);

/** Gives out names that WGSL takes and nobody around uses. */
export class Words {
  readonly #used: Set<string>;

  /** Names inside a function must not hide those around it. */
  constructor(around?: Words) {
    this.#used = new Set(around === undefined ? TAKEN : around.#used);
  }

  /** A name like `wanted`: itself where it can be. */
  fresh(wanted: string): string {
    const plain = wanted.replace(/[^A-Za-z0-9_]/g, '_').replace(/^(?=[0-9])|^__+|^_$/, 'n_');
    let name = this.#used.has(plain) ? `${plain}_` : plain;
    for (let count = 1; this.#used.has(name); count++) name = `${plain}_${count}`;
    this.#used.add(name);
    return name;
  }
}
