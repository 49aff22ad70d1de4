;; layer dense: y[t, o] = max(0, bias[o] + sum over i of x[t, i] * weight[o, i]), I = 2, O = 3; one grid step a token.
(module
  (import "env" "memory" (memory 0 65536))
  (func (export "k0")
    (param $begin i32) (param $end i32)
    (param $x i32) (param $weight i32) (param $bias i32) (param $y i32)
    (param $scratch i32) (param $status i32)
    (local $t i32) (local $o i32) (local $w i32)
    (local.set $t (local.get $begin))
    (block $done
      (loop $tokens
        (br_if $done (i32.ge_s (local.get $t) (local.get $end)))
        (local.set $o (i32.const 0))
        (loop $outputs
          (local.set $w (i32.add (local.get $weight) (i32.shl (local.get $o) (i32.const 3))))
          (f32.store
            (i32.add (local.get $y) (i32.shl (i32.add (i32.mul (local.get $t) (i32.const 3)) (local.get $o)) (i32.const 2)))
            (f32.max
              (f32.const 0)
              (f32.add
                (f32.load (i32.add (local.get $bias) (i32.shl (local.get $o) (i32.const 2))))
                (f32.add
                  (f32.mul
                    (f32.load (i32.add (local.get $x) (i32.shl (local.get $t) (i32.const 3))))
                    (f32.load (local.get $w)))
                  (f32.mul
                    (f32.load offset=4 (i32.add (local.get $x) (i32.shl (local.get $t) (i32.const 3))))
                    (f32.load offset=4 (local.get $w)))))))
          (local.set $o (i32.add (local.get $o) (i32.const 1)))
          (br_if $outputs (i32.lt_s (local.get $o) (i32.const 3))))
        (local.set $t (i32.add (local.get $t) (i32.const 1)))
        (br $tokens)))))
