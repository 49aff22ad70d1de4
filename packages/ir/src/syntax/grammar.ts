/**
 * The grammar of the layer language for ohm. Comments are blanked out before it runs (see scan.ts). Line breaks are
 * ordinary space: no statement begins with anything that could continue an expression.
 */

export const reserved = [
  'fn',
  'layer',
  'let',
  'input',
  'weight',
  'output',
  'in',
  'if',
  'then',
  'else',
  'and',
  'or',
  'not',
  'true',
  'false',
  'sum',
  'prod',
  'max',
  'min',
  'argmax',
  'argmin',
  'descend',
  'for',
  'yield',
  'return',
] as const;

export const grammarText = `
Layers {
  Module = Item*
  Item = Function | LayerDef
  Function = fn name "(" ListOf<name, ","> ")" "=" Expr
  LayerDef = layer name "(" ListOf<name, ","> Options? ")" "{" Statement* "}"
  Options = ";" ListOf<Option, ",">
  Option = name "=" Constant
  Constant = "-"? number  -- number
           | boolean      -- boolean
           | calleeName   -- function

  Statement = Body ";"?
  Body = Let | Input | Weight | Define
  Let = let name "=" Expr
  Input = input NonemptyListOf<Declaration, ",">
  Weight = weight NonemptyListOf<WeightDeclaration, ",">
  Declaration = name "[" ListOf<Expr, ","> "]" Storage?
  WeightDeclaration = Declaration Default?
  Storage = ":" name
  Default = "=" Expr
  Define = output? name "[" ListOf<Binder, ","> "]" "=" Expr
  Binder = name Range?
  Range = in Expr

  Expr = If | Or
  If = if Expr then Expr else Expr
  Or = And (or And)*
  And = Not (and Not)*
  Not = not Not  -- not
      | Compare
  Compare = Add (compareOp Add)*
  Add = Mul (addOp Mul)*
  Mul = Unary (mulOp Unary)*
  Unary = "-" Unary  -- minus
        | Power
  Power = Primary ("^" Unary)?
  Primary = Call | Access | Reduce | Descend
          | "(" Expr ")"  -- parens
          | number | boolean | name
  Call = calleeName "(" ListOf<Expr, ","> ")"
  Access = name "[" ListOf<Expr, ","> "]"
  Reduce = reduceOp NonemptyListOf<Binder, ","> ":" ReduceBody
  ReduceBody = If | Mul
  Descend = descend name "=" Expr for Expr "{" Step* "}" Return?
  Step = StepBody ";"?
  StepBody = yield Expr     -- yield
           | name "<-" Expr -- next
           | name "=" Expr  -- let
  Return = return Expr

  compareOp (an operator) = "==" | "!=" | "<=" | ">=" | "<" | ">"
  addOp (an operator) = "+" | "-"
  mulOp (an operator) = "*" | "//" | "/" | "%"

  name (a name) = ~(keyword) nameStart nameRest*
  calleeName (a function) = name | max | min
  nameStart = "a".."z" | "A".."Z" | "_"
  nameRest = nameStart | "0".."9"
  number (a number) = whole ("." whole)? exponent? ~nameRest
  whole = "0".."9"+
  exponent = ("e" | "E") ("+" | "-")? whole
  boolean (true or false) = true | false
  reduceOp (a reduction) = sum | prod | argmax | argmin | max | min
  keyword = ${reserved.join(' | ')}
${reserved.map((word) => `  ${word} = "${word}" ~nameRest`).join('\n')}
}
`;
