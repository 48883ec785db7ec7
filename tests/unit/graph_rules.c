/* graph_rules.c: every rule of the builder, by an example: what it gives, and that the value stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "graph_case.h"

typedef struct {
  const char *rule, *in, *out;
  int tame; /* 1: the law holds for ordinary numbers (the row in rules.def says where not); 2: a constant is rounded to f32 */
  bool kept; /* the rule must leave it as it is */
} Case;

static const Case cases[] = {
    {"smaller_elementwise", "broadcast v {1} | broadcast s | mul $1 $2", "broadcast{1}(mul(v, broadcast(s)))"},
    {"smaller_elementwise", "add #1 #2", "3"},
    {"moved_elementwise", "reshape x : f32 [batch, 2, 2] | reshape y : f32 [batch, 2, 2] | sub $1 $2 : f32 [batch, 2, 2]",
     "reshape[batch, 2, 2](sub(x, y))"},
    {"moved_elementwise", "transpose x {1, 0} : f32 [4, batch] | broadcast s : f32 [4, batch] | sub $2 $1 : f32 [4, batch]",
     "transpose{1 0}(sub(broadcast(s), x))"},
    {"moved_elementwise", "transpose x {1, 0} : f32 [4, batch] | const 2 : f32 [] | broadcast $2 : f32 [4, batch] |"
     "max $1 $3 : f32 [4, batch] | transpose $4 {1, 0}", "max(x, 2)"},
    {"moved_elementwise", "reshape s : f32 [1] | exp $1 : f32 [1]", "reshape[1](exp(s))"},
    {"add_zero", "add x #0", "x"},
    {"add_zero", "add #0 x", "x"},
    {"add_same", "add x x", "mul(x, 2)"},
    {"add_neg", "neg y | add x $1", "sub(x, y)"},
    {"add_neg_broadcast", "broadcast v {1} | neg v : f32 [4] | broadcast $2 {1} | add x $3", "sub(x, broadcast{1}(v))"},
    {"neg_broadcast_add", "neg v : f32 [4] | broadcast $1 {1} | exp x | add $2 $3", "sub(exp(x), broadcast{1}(v))"},
    {"neg_add", "neg x | exp y | add $1 $2", "sub(exp(y), x)"},
    {"add_masks", "select p x #0 | select p y #0 | add $1 $2", "select(p, add(x, y), 0)"},
    {"add_masks_no", "select p #0 x | select p #0 y | add $1 $2", "select(p, 0, add(x, y))"},
    {"add_pads",
     "slice x {0, -1, 1, 0, 1, 1} : f32 [batch, 1] | slice x {0, -1, 1, 1, 2, 1} : f32 [batch, 2] |"
     "exp $1 : f32 [batch, 1] | pad $3 {0, 0, 0, 0, 3, 0} | pad $2 {0, 0, 0, 1, 1, 0} | add $4 $5",
     "pad{0 0 0 0 1 0}(concat{1}(exp(slice{0 -1 1 0 1 1}(x)), slice{0 -1 1 1 2 1}(x)))"},
    {"sub_zero", "sub x #0", "x"},
    {"zero_sub", "sub #0 x", "neg(x)"},
    {"sub_neg", "neg y | sub x $1", "add(x, y)"},
    {"neg_neg", "neg x | neg $1", "x"},
    {"neg_sub", "sub x y | neg $1", "sub(y, x)"},
    {"neg_scaled", "mul x #3 | neg $1", "mul(x, -3)"},
    {"neg_mask", "select p x #0 | neg $1", "select(p, neg(x), 0)"},
    {"neg_mask_no", "select p #0 x | neg $1", "select(p, 0, neg(x))"},
    {"mul_one", "mul #1 x", "x"},
    {"mul_minus_one", "mul x #-1", "neg(x)"},
    {"mul_neg", "neg y | mul x $1", "neg(mul(x, y))"},
    {"neg_mul", "neg x | exp y | mul $1 $2", "neg(mul(x, exp(y)))"},
    {"mul_numbers", "mul x #3 | mul $1 #5", "mul(x, 15)"},
    {"mul_mask", "select p x #0 | mul $1 #3", "select(p, mul(x, 3), 0)"},
    {"mul_mask_no", "select p #0 x | mul $1 #3", "select(p, 0, mul(x, 3))"},
    {"mul_smaller", "broadcast v {1} | exp x | mul $1 $2 | mul $3 #3", "mul(exp(x), broadcast{1}(mul(v, 3)))"},
    {"mul_smaller_2", "broadcast v {1} | mul x $1 | mul $2 #2", "mul(x, broadcast{1}(mul(v, 2)))"},
    {"div_one", "div x #1", "x"},
    {"div_minus_one", "div x #-1", "neg(x)"},
    {"div_power", "div x #8", "mul(x, 0.125)"},
    {"neg_div", "neg x | div $1 y", "neg(div(x, y))"},
    {"div_neg", "neg y | div x $1", "neg(div(x, y))"},
    {"one_over_sqrt", "sqrt x | div #1 $1", "rsqrt(x)"},
    {"pow_0", "pow x #0", "1"},
    {"pow_1", "pow x #1", "x"},
    {"pow_2", "pow x #2", "mul(x, x)"},
    {"pow_3", "pow x #3", "mul(x, mul(x, x))"},
    {"pow_4", "pow x #4", "mul(mul(x, x), mul(x, x))"},
    {"pow_half", "pow x #0.5", "sqrt(x)", 1},
    {"pow_m1", "pow x #-1", "div(1, x)"},
    {"pow_m2", "pow x #-2", "div(1, mul(x, x))"},
    {"pow_mhalf", "pow x #-0.5", "rsqrt(x)", 1},
    {"abs_neg", "neg x | abs $1", "abs(x)"},
    {"abs_abs", "abs x | abs $1", "abs(x)"},
    {"max_same", "max x x", "x"},
    {"min_same", "min x x", "x"},
    {"floor_whole", "round x | floor $1", "round(x)"},
    {"ceil_whole", "cast i | ceil $1", "cast_f32(i)"},
    {"round_whole", "ceil x | round $1", "ceil(x)"},
    {"trunc_whole", "floor x | trunc $1", "floor(x)"},
    {"log_exp", "exp x | log $1", "x"},
    {"log_quotient", "exp x | abs y | div $1 $2 | log $3", "sub(x, log(abs(y)))", 1},
    {"log_quotient",
     "reduce_max x {1} : f32 [batch] | broadcast $1 {0} | sub x $2 | exp $3 | sum $4 {1} : f32 [batch] | broadcast $5 {0} |"
     "div $4 $6 | log $7",
     "sub(sub(x, broadcast{0}(reduce_max{1}(x))), broadcast{0}(log(sum{1}(exp(sub(x, broadcast{0}(reduce_max{1}(x))))))))"},
    {"log_product", "exp x | abs y | mul $1 $2 | log $3", "add(x, log(abs(y)))"},
    {"log_product_2", "abs y | exp x | mul $1 $2 | log $3", "add(x, log(abs(y)))"},
    {"log_guard", "exp x | div $1 y | select p #0 $2 | log $3", "select(p, -inf, sub(x, log(y)))", 1},
    {"log_guard_2", "exp x | div $1 y | select p $2 #1 | log $3", "select(p, sub(x, log(y)), 0)", 1},
    {"log_sum_exp", "exp x | sum $1 {1} : f32 [batch] | log $2 : f32 [batch]",
     "add(select(is_finite(stop(reduce_max{1}(x))), stop(reduce_max{1}(x)), 0), log(sum{1}(exp(sub(x, broadcast{0}("
     "select(is_finite(stop(reduce_max{1}(x))), stop(reduce_max{1}(x)), 0)))))))"},
    {"log_mean_exp", "reduce_max x {1} : f32 [batch] | broadcast $1 {0} | sub x $2 | exp $3 | sum $4 {1} : f32 [batch] |"
     "const 4 : f32 [] | broadcast $6 : f32 [batch] | div $5 $7 : f32 [batch] | log $8 : f32 [batch]",
     "add(log(sum{1}(exp(sub(x, broadcast{0}(reduce_max{1}(x)))))), -1.38629)", 2},
    {"log_slice", "exp x | slice $1 {0, -1, 1, 1, 1, 1} : f32 [batch, 1] | log $2 : f32 [batch, 1]", "slice{0 -1 1 1 1 1}(x)"},
    {"log_moved_quotient",
     "exp x | slice $1 {0, -1, 1, 1, 1, 1} : f32 [batch, 1] | abs y | slice $3 {0, -1, 1, 0, 1, 1} : f32 [batch, 1] |"
     "div $2 $4 : f32 [batch, 1] | log $5 : f32 [batch, 1]",
     "sub(slice{0 -1 1 1 1 1}(x), log(slice{0 -1 1 0 1 1}(abs(y))))", 1},
    {"log_picked",
     "iota : i32 [4] | broadcast $1 {1} : i32 [batch, 4] | slice i {0, -1, 1, 0, 1, 1} : i32 [batch, 1] | reshape $3 : i32 [batch] |"
     "broadcast $4 {0} : i32 [batch, 4] | eq $5 $2 : bool [batch, 4] | exp x | const 0 : f32 [] | broadcast $8 |"
     "select $6 $7 $9 | sum $10 {1} : f32 [batch] | log $11 : f32 [batch]",
     "select(lt(0, sum{1}(cast_f32(eq(broadcast{1}(iota), broadcast{0}(reshape[batch](slice{0 -1 1 0 1 1}(i))))))), sum{1}(select("
     "eq(broadcast{1}(iota), broadcast{0}(reshape[batch](slice{0 -1 1 0 1 1}(i)))), x, 0)), -inf)", 1},
    {"variance", "mul x x | sum $1 {1} : f32 [batch] | const 4 : f32 [] | broadcast $3 : f32 [batch] | div $2 $4 : f32 [batch] |"
     "sum x {1} : f32 [batch] | div $6 $4 : f32 [batch] | mul $7 $7 : f32 [batch] | sub $5 $8 : f32 [batch]",
     "mul(sum{1}(mul(sub(x, broadcast{0}(mul(sum{1}(x), 0.25))), sub(x, broadcast{0}(mul(sum{1}(x), 0.25))))), 0.25)", 1},
    {"softmax", "exp x | sum $1 {1} : f32 [batch] | broadcast $2 {0} | div $1 $3",
     "div(exp(sub(x, broadcast{0}(select(is_finite(stop(reduce_max{1}(x))), stop(reduce_max{1}(x)), 0)))), "
     "broadcast{0}(sum{1}(exp(sub(x, broadcast{0}(select(is_finite(stop(reduce_max{1}(x))), stop(reduce_max{1}(x)), 0)))))))"},
    {"log_1_plus", "add x #1 | log $1", "log1p(x)"},
    {"log_1_minus", "sub #1 x | log $1", "log1p(neg(x))"},
    {"log1p_exp", "exp x | log1p $1", "softplus(x)"},
    {"log1p_exp", "exp x | add #1 $1 | log $2", "softplus(x)"},
    {"log_sigmoid", "sigmoid x | log $1", "neg(softplus(neg(x)))"},
    {"log1p_sigmoid", "sigmoid x | sub #1 $1 | log $2", "neg(softplus(x))"},
    {"softplus_parts", "lt #0 x : bool [batch, 4] | select $1 x #0 | abs x | neg $3 | exp $4 | log1p $5 | add $2 $6", "softplus(x)"},
    {"softplus_parts_2", "abs x | neg $1 | exp $2 | log1p $3 | max x #0 | add $4 $5", "softplus(x)"},
    {"log_guard", "sigmoid x | select p #1 $1 | log $2", "select(p, 0, neg(softplus(neg(x))))"},
    {"sigmoid_over", "neg x | exp $1 | add #1 $2 | div #1 $3", "sigmoid(x)"},
    {"sigmoid_exp", "exp x | add #1 $1 | div $1 $2", "sigmoid(x)", 1},
    {"exp_minus_1", "exp x | sub $1 #1", "expm1(x)"},
    {"exp_plus_m1", "exp x | add $1 #-1", "expm1(x)"},
    {"not_not", "not p : bool [batch, 4] | not $1 : bool [batch, 4]", "p"},
    {"not_eq", "eq x y : bool [batch, 4] | not $1 : bool [batch, 4]", "ne(x, y)"},
    {"not_ne", "ne x y : bool [batch, 4] | not $1 : bool [batch, 4]", "eq(x, y)"},
    {"not_lt", "neg i : i32 [batch, 4] | lt i $1 : bool [batch, 4] | not $2 : bool [batch, 4]", "le(neg(i), i)"},
    {"not_lt", "lt x y : bool [batch, 4] | not $1 : bool [batch, 4]", "not(lt(x, y))", 0, true},
    {"not_le", "neg i : i32 [batch, 4] | le i $1 : bool [batch, 4] | not $2 : bool [batch, 4]", "lt(neg(i), i)"},
    {"lt_same", "lt x x : bool [batch, 4]", "0"},
    {"le_same", "le i i : bool [batch, 4]", "1"},
    {"le_same", "le x x : bool [batch, 4]", "le(x, x)", 0, true},
    {"eq_same", "eq i i : bool [batch, 4]", "1"},
    {"ne_same", "ne i i : bool [batch, 4]", "0"},
    {"eq_nan", "eq x x : bool [batch, 4]", "not(is_nan(x))"},
    {"ne_nan", "ne x x : bool [batch, 4]", "is_nan(x)"},
    {"eq_true", "cast #1 : bool [batch, 4] | eq p $1 : bool [batch, 4]", "p"},
    {"eq_false", "cast #0 : bool [batch, 4] | eq p $1 : bool [batch, 4]", "not(p)"},
    {"ne_true", "cast #1 : bool [batch, 4] | ne p $1 : bool [batch, 4]", "not(p)"},
    {"ne_false", "cast #0 : bool [batch, 4] | ne p $1 : bool [batch, 4]", "p"},
    {"ne_cast", "cast p : i32 [batch, 4] | cast #0 : i32 [batch, 4] | ne $1 $2 : bool [batch, 4]", "p"},
    {"and_true", "cast #1 : bool [batch, 4] | and p $1 : bool [batch, 4]", "p"},
    {"and_false", "cast #0 : bool [batch, 4] | and p $1 : bool [batch, 4]", "0"},
    {"and_same", "and p p : bool [batch, 4]", "p"},
    {"and_within", "and p q : bool [batch, 4] | and p $1 : bool [batch, 4]", "and(p, q)"},
    {"and_not", "not p : bool [batch, 4] | and p $1 : bool [batch, 4]", "0"},
    {"or_true", "cast #1 : bool [batch, 4] | or p $1 : bool [batch, 4]", "1"},
    {"or_false", "cast #0 : bool [batch, 4] | or p $1 : bool [batch, 4]", "p"},
    {"or_same", "or p p : bool [batch, 4]", "p"},
    {"or_within", "or p q : bool [batch, 4] | or q $1 : bool [batch, 4]", "or(p, q)"},
    {"or_not", "not p : bool [batch, 4] | or p $1 : bool [batch, 4]", "1"},
    {"select_true", "lt #0 #1 : bool [batch, 4] | select $1 x y", "x"},
    {"select_false", "lt #1 #0 : bool [batch, 4] | select $1 x y", "y"},
    {"select_same", "select p x x", "x"},
    {"select_not", "not p : bool [batch, 4] | select $1 x y", "select(p, y, x)"},
    {"select_yes", "select p x y | exp x | select p $1 $2", "select(p, x, exp(x))"},
    {"select_no", "select p x y | exp x | select p $2 $1", "select(p, exp(x), y)"},
    {"select_masks", "select q x #0 | select p $1 #0", "select(and(p, q), x, 0)"},
    {"select_bool", "cast #1 : bool [batch, 4] | cast #0 : bool [batch, 4] | select p $1 $2 : bool [batch, 4]", "p"},
    {"select_not_bool", "cast #1 : bool [batch, 4] | cast #0 : bool [batch, 4] | select p $2 $1 : bool [batch, 4]", "not(p)"},
    {"cast_same", "cast x", "x"},
    {"cast_cast", "cast x : f64 [batch, 4] | cast $1", "x"},
    {"cast_cast", "cast d | cast $1 : f64 [batch, 4]", "cast_f64(cast_f32(d))", 0, true},
    {"stop_stop", "stop x | stop $1", "stop(x)"},
    {"stop_moved", "reshape x : f32 [batch, 2, 2] | stop $1 : f32 [batch, 2, 2]", "reshape[batch, 2, 2](stop(x))"},
    {"stop_number", "stop #2", "2"},
    {"stop_leaf", "random {0, 1} | stop $1", "random{0 1}"},
    {"broadcast", "broadcast s : f32 [4] | broadcast $1 {1}", "broadcast(s)"},
    {"broadcast", "broadcast v {1} : f32 [1, 4]", "reshape[1, 4](v)"},
    {"reshape", "reshape t : f32 [batch, 6] | reshape $1 : f32 [batch, 3, 2]", "reshape[batch, 3, 2](t)"},
    {"reshape", "reshape t : f32 [batch, 6] | reshape $1 : f32 [batch, 2, 3]", "t"},
    {"reshape", "broadcast v {2} : f32 [batch, 6, 4] | reshape $1 : f32 [batch, 2, 3, 4]", "broadcast{3}(v)"},
    {"reshape", "broadcast v {1} | reshape $1 : f32 [batch, 2, 2]", "broadcast{1 2}(reshape[2, 2](v))"},
    {"transpose", "transpose t {0, 2, 1} : f32 [batch, 3, 2] | transpose $1 {0, 2, 1} : f32 [batch, 2, 3]", "t"},
    {"transpose", "broadcast v {1} | transpose $1 {1, 0} : f32 [4, batch]", "broadcast{0}(v)"},
    {"transpose", "reshape v : f32 [4, 1] | transpose $1 {1, 0} : f32 [1, 4]", "reshape[1, 4](v)"},
    {"transposed_contract", "contract x w {0, 1, 1, 0} : f32 [batch, 3] | transpose $1 {1, 0} : f32 [3, batch]",
     "contract{0 1 0 1}(w, x)"},
    {"slice", "slice x {0, -1, 1, 1, 3, 1} : f32 [batch, 3] | slice $1 {0, -1, 1, 0, 2, 2} : f32 [batch, 2]",
     "slice{0 -1 1 1 2 2}(x)"},
    {"slice", "broadcast v {1} | slice $1 {0, -1, 1, 0, 2, 1} : f32 [batch, 2]", "broadcast{1}(slice{0 2 1}(v))"},
    {"slice", "transpose t {0, 2, 1} : f32 [batch, 3, 2] | slice $1 {0, -1, 1, 0, 2, 1, 0, 2, 1} : f32 [batch, 2, 2]",
     "transpose{0 2 1}(slice{0 -1 1 0 2 1 0 2 1}(t))"},
    {"slice_of_pad", "pad x {0, 0, 0, 2, 1, 0} : f32 [batch, 7] | slice $1 {0, -1, 1, 2, 4, 1}", "x"},
    {"slice_of_pad", "pad x {0, 0, 0, 2, 1, 3} : f32 [batch, 16] | slice $1 {0, -1, 1, 2, 4, 4}", "x"},
    {"slice_of_pad", "pad x {0, 0, 0, 2, 1, 0} : f32 [batch, 7] | slice $1 {0, -1, 1, 0, 2, 1} : f32 [batch, 2]", "0"},
    {"slice_of_pad", "pad x {0, 0, 0, 2, 1, 0} : f32 [batch, 7] | slice $1 {0, -1, 1, 1, 3, 1} : f32 [batch, 3]",
     "pad{0 0 0 1 0 0}(slice{0 -1 1 0 2 1}(x))"},
    {"slice_of_concat", "concat x y {1} : f32 [batch, 8] | slice $1 {0, -1, 1, 5, 2, 1} : f32 [batch, 2]",
     "slice{0 -1 1 1 2 1}(y)"},
    {"pad", "pad x {0, 0, 0, 1, 0, 1} : f32 [batch, 8] | pad $1 {0, 0, 0, 0, 2, 0} : f32 [batch, 10]",
     "pad{0 0 0 1 2 1}(x)"},
    {"pad", "pad #0 {0, 0, 0, 1, 0, 0} : f32 [batch, 5]", "0"},
    {"pad", "broadcast v {1} | pad $1 {0, 0, 0, 1, 0, 0} : f32 [batch, 5]", "broadcast{1}(pad{1 0 0}(v))"},
    {"reverse", "reverse t {1} : f32 [batch, 2, 3] | reverse $1 {1, 2} : f32 [batch, 2, 3]", "reverse{2}(t)"},
    {"reverse", "broadcast s | reverse $1 {1}", "broadcast(s)"},
    {"concat", "slice x {0, -1, 1, 0, 1, 1} : f32 [batch, 1] | slice x {0, -1, 1, 1, 3, 1} : f32 [batch, 3] | concat $1 $2 {1}",
     "x"},
    {"concat", "concat x y {1} : f32 [batch, 8] | concat $1 x {1} : f32 [batch, 12]", "concat{1}(x, y, x)"},
    {"window", "broadcast v {1} | window $1 {1, 2, 3, 1, 1} : f32 [batch, 2, 3]", "broadcast{1 2}(window{0 2 3 1 1}(v))"},
    {"window", "broadcast v {2} : f32 [batch, 6, 4] | window $1 {1, 2, 3, 3, 1} : f32 [batch, 2, 3, 4]", "broadcast{3}(v)"},
    {"window", "window x {1, 2, 1, 2, 1} : f32 [batch, 2, 1]", "reshape[batch, 2, 1](slice{0 -1 1 0 2 2}(x))"},
    {"window", "window x {1, 1, 2, 1, 3} : f32 [batch, 1, 2]", "reshape[batch, 1, 2](slice{0 -1 1 0 2 3}(x))"},
    {"window", "window x {1, 2, 2, 2, 1} : f32 [batch, 2, 2]", "reshape[batch, 2, 2](x)"},
    {"unwindow", "unwindow t {1, 6, 3, 1} : f32 [batch, 6]", "reshape[batch, 6](t)"},
    {"unwindow", "unwindow t {1, 8, 3, 1} : f32 [batch, 8]", "pad{0 0 0 0 2 0}(reshape[batch, 6](t))"},
    {"unwindow", "reshape x : f32 [batch, 4, 1] | unwindow $1 {1, 8, 2, 1} : f32 [batch, 8]", "pad{0 0 0 0 1 1}(x)"},
    {"unwindow", "reshape x : f32 [batch, 1, 4] | unwindow $1 {1, 8, 1, 2} : f32 [batch, 8]", "pad{0 0 0 0 1 1}(x)"},
    {"unwindow", "const 0 : f32 [] | broadcast $1 : f32 [batch, 2, 3] | unwindow $2 {1, 4, 1, 1} : f32 [batch, 4]", "0"},
    {"unwindow_strided", "unwindow t {1, 5, 2, 1} : f32 [batch, 5]",
     "slice{0 -1 1 0 5 1}(reshape[batch, 6](concat{2}(reshape[batch, 3, 1](unwindow{1 3 1 1}(slice{0 -1 1 0 2 1 0 2 2}(t))), "
     "reshape[batch, 3, 1](pad{0 0 0 0 1 0}(reshape[batch, 2](slice{0 -1 1 0 2 1 1 1 1}(t)))))))"},
    {"unwindow_contract", "contract t w {0, 1, 2, 1} : f32 [batch, 2, 4] | unwindow $1 {1, 5, 1, 1} : f32 [batch, 5]",
     "contract{0 2 2 3 0 1}(window{1 5 4 1 1}(pad{0 0 0 3 3 0 0 0 0}(t)), reverse{0}(w))"},
    {"slice_of_window", "window x {1, 3, 2, 1, 1} : f32 [batch, 3, 2] | slice $1 {0, -1, 1, 1, 2, 1, 0, 2, 1} : f32 [batch, 2, 2]",
     "window{1 2 2 1 1}(slice{0 -1 1 1 3 1}(x))"},
    {"slice_of_contract", "window x {1, 3, 2, 1, 1} : f32 [batch, 3, 2] | slice w {0, 2, 1, 0, 3, 1} : f32 [2, 3] | contract $1 $2 {0, 1, 2, 0} : f32 [batch, 3, 3] |"
     "slice $3 {0, -1, 1, 1, 2, 1, 0, 3, 1} : f32 [batch, 2, 3]",
     "contract{0 1 2 0}(window{1 2 2 1 1}(slice{0 -1 1 1 3 1}(x)), slice{0 2 1 0 3 1}(w))"},
    {"reduce_empty", "slice x {0, -1, 1, 0, 0, 1} : f32 [batch, 0] | reduce_max $1 {1} : f32 [batch]", "-inf"},
    {"reduce_empty", "slice x {0, -1, 1, 0, 0, 1} : f32 [batch, 0] | prod $1 {1} : f32 [batch]", "1"},
    {"reduce_none", "slice x {0, -1, 1, 1, 1, 1} : f32 [batch, 1] | sum $1 {1} : f32 [batch]", "reshape[batch](slice{0 -1 1 1 1 1}(x))"},
    {"prod_none", "slice x {0, -1, 1, 1, 1, 1} : f32 [batch, 1] | prod $1 {1} : f32 [batch]", "reshape[batch](slice{0 -1 1 1 1 1}(x))"},
    {"max_none", "reshape x : f32 [batch, 4, 1] | reduce_max $1 {2}", "x"},
    {"min_none", "reshape x : f32 [batch, 4, 1] | reduce_min $1 {2}", "x"},
    {"reduce_ones", "reshape x : f32 [batch, 1, 4] | sum $1 {1, 2} : f32 [batch]", "sum{1}(x)"},
    {"argmax_one", "reshape x : f32 [batch, 1, 4] | argmax $1 {1} : i32 [batch, 4]", "0"},
    {"reduce_broadcast", "broadcast v {1} | sum $1 {0} : f32 [4]", "mul(v, broadcast(cast_f32(extent{0})))"},
    {"reduce_broadcast", "broadcast x {0, 2} : f32 [batch, 5, 4] | sum $1 {1}", "mul(x, 5)"},
    {"reduce_broadcast", "broadcast x {0, 2} : f32 [batch, 5, 4] | reduce_max $1 {1, 2} : f32 [batch]", "reduce_max{1}(x)"},
    {"reduce_broadcast",
     "neg v : f32 [4] | lt $1 v : bool [4] | const 0 : f32 [] | broadcast $3 : f32 [4] | select $2 v $4 : f32 [4] |"
     "broadcast $5 {1} : f32 [batch, 4] | sum $6 {0} : f32 [4]", "select(lt(neg(v), v), mul(v, broadcast(cast_f32(extent{0}))), 0)"},
    {"sum_neg", "neg x | sum $1 {1} : f32 [batch]", "neg(sum{1}(x))"},
    {"sum_mask",
     "neg v : f32 [4] | lt $1 v : bool [4] | broadcast $2 {1} : bool [batch, 4] | select $3 x #0 | sum $4 {0} : f32 [4]",
     "select(lt(neg(v), v), sum{0}(x), 0)"},
    {"sum_of_sum", "sum t {2} : f32 [batch, 2] | sum $1 {1} : f32 [batch]", "sum{1 2}(t)"},
    {"sum_of_sum", "sum t {2} : f32 [batch, 2] | sum $1 {0} : f32 [2]", "sum{0}(sum{2}(t))", 0, true},
    {"reduce_transposed", "transpose t {2, 0, 1} : f32 [3, batch, 2] | sum $1 {1} : f32 [3, 2]", "transpose{1 0}(sum{0}(t))"},
    {"sum_of_pad", "pad t {0, 0, 0, 1, 1, 0, 2, 0, 0} : f32 [batch, 4, 5] | sum $1 {1} : f32 [batch, 5]",
     "pad{0 0 0 2 0 0}(sum{1}(t))"},
    {"contract_ones",
     "reshape x : f32 [batch, 1, 4] | reshape w : f32 [1, 4, 3] | contract $1 $2 {0, 2, 1, 2, 0, 1} : f32 [batch, 3]",
     "contract{0 1 1 0}(x, w)"},
    {"contract_product", "contract x v {0, 0} : f32 [batch, 4, 4]", "mul(broadcast{0 1}(x), broadcast{2}(v))"},
    {"contract_product", "contract x y {2, 0, 1, 0, 1, 0} : f32 [4, batch]", "transpose{1 0}(mul(x, y))"},
    {"contract_transposed", "transpose x {1, 0} : f32 [4, batch] | contract $1 w {0, 1, 0, 0} : f32 [batch, 3]",
     "contract{0 1 1 0}(x, w)"},
    {"contract_transposed", "transpose w {1, 0} : f32 [3, 4] | contract x $1 {0, 1, 1, 1} : f32 [batch, 3]",
     "contract{0 1 1 0}(x, w)"},
    {"contract_transposed", "transpose t {0, 2, 1} : f32 [batch, 3, 2] | contract $1 x {1, 0, 0, 0} : f32 [batch, 3, 2, 4]",
     "mul(broadcast{0 1 2}(transpose{0 2 1}(t)), broadcast{0 3}(x))", 0, true},
    {"contract_broadcast", "broadcast v {1} | contract $1 w {0, 1, 1, 0} : f32 [batch, 3]", "broadcast{1}(contract{0 1 0 0}(v, w))"},
    {"contract_broadcast", "broadcast v {1} | contract x $1 {0, 1, 0, 0} : f32 [4, 4]", "mul(broadcast{0}(sum{0}(x)), broadcast{1}(v))", 1},
    {"contract_broadcast", "broadcast w {1, 2} : f32 [batch, 4, 3] | contract x $1 {1, 1, 0, 0, 1, 1} : f32 [batch, 3]",
     "contract{0 1 1 0}(x, w)"},
    {"contract_gathered", "gather w i {0} : f32 [batch, 4, 3] | contract $1 w {0, 1, 2, 1} : f32 [batch, 4, 4]",
     "gather{0}(contract{0 1 1 1}(w, w), i)", 1},
    {"contract_gathered", "gather w i {0} : f32 [batch, 4, 3] | contract w $1 {0, 1, 1, 2} : f32 [4, batch, 4]",
     "transpose{2 0 1}(gather{0}(contract{0 1 1 1}(w, w), i))", 1},
    {"contract_concat",
     "concat x y {1} : f32 [batch, 8] | concat w w {0} : f32 [8, 3] | contract $1 $2 {0, 1, 1, 0} : f32 [batch, 3]",
     "add(contract{0 1 1 0}(x, w), contract{0 1 1 0}(y, w))", 1},
    {"contract_concat",
     "slice x {0, -1, 1, 1, 1, 1} : f32 [batch, 1] | slice x {0, -1, 1, 2, 2, 1} : f32 [batch, 2] |"
     "slice y {0, -1, 1, 0, 1, 1} : f32 [batch, 1] | exp $1 : f32 [batch, 1] | exp $2 : f32 [batch, 2] | exp $3 : f32 [batch, 1] |"
     "concat $4 $5 $6 {1} | contract $7 w {0, 1, 1, 0} : f32 [batch, 3]",
     "contract{0 1 1 0}(concat{1}(exp(slice{0 -1 1 1 1 1}(x)), exp(slice{0 -1 1 2 2 1}(x)), exp(slice{0 -1 1 0 1 1}(y))), w)", 1, true},
    {"gather_nothing", "const 0 : f32 [] | broadcast $1 : f32 [4, 3] | gather $2 i {0} : f32 [batch, 4, 3]", "0"},
    {"scatter_nothing", "scatter_add #0 i {1, 5} : f32 [batch, 5]", "0"},
    {"contract_broadcast", "broadcast s : f32 [4, 2] | contract x $1 {0, 1, 1, 0} : f32 [batch, 2]",
     "broadcast{0}(mul(sum{1}(x), broadcast(s)))", 1},
    {"item_broadcast",
     "broadcast v {1} : f32 [2, 4] | item $1 {0, 0, 0} : f32 [4] | exp $2 : f32 [4] | loop {0, 2} : i32 [] | "
     "stack $3 $4 {0, 0} : f32 [2, 4]",
     "stack{0 0}(exp(v), loop{0 2})"},
    {"item_broadcast",
     "broadcast v {0} : f32 [4, 2] | item $1 {0, 0, 1} : f32 [2] | loop {0, 4} : i32 [] | "
     "stack $2 $3 {0, 0} : f32 [4, 2]",
     "stack{0 0}(broadcast(item{0 0 1}(v)), loop{0 4})"},
    {"stack_number", "loop {0, 2} : i32 [] | stack #3 $1 {0, 0} : f32 [2, batch, 4]", "3"},
    {"stack_item", "item t {0, 1, 1} : f32 [batch, 3] | loop {0, 2} : i32 [] | stack $1 $2 {1, 1} : f32 [batch, 2, 3]",
     "t"},
};
enum { CASES = sizeof cases / sizeof cases[0] };

/* The number of things wrong, each printed. */
static int check_case(const Case *c) {
  Session session = {0};
  int wrongs = 0;
  uint32_t fired[CASES] = {0}, own = 0; /* there is a case for each rule */
  Graph *raw = case_graph(&session, c->in);
  raw->fired = fired;
  Graph *built = graph_rebuild(raw, false);
  while (rules_name(own) && strcmp(rules_name(own), c->rule)) own++;
  if (!rules_name(own) || !fired[own] != c->kept)
    print_error("%s: %s: the rule is%s used\n", c->rule, c->in, c->kept ? "" : " not"), wrongs++;
  raw->fired = built->fired = NULL;
  const char *wrong = graph_verify(built);
  if (wrong) print_error("%s: %s: %s\n", c->rule, c->in, wrong), wrongs++;
  Text text = {0};
  case_expression(built, built->outputs.data[0].node, &text);
  if (strcmp(text_get(&text), c->out))
    print_error("%s: %s: expected %s, found %s\n", c->rule, c->in, c->out, text_get(&text)), wrongs++;
  for (int wild = 0; wild < (c->tame ? 1 : 2); wild++) {
    const double difference = case_difference(raw, built, wild);
    if (difference <= (c->tame == 2 ? 1e-7 : 1e-12)) continue;
    print_error("%s: %s: values differ by %g (%s)\n", c->rule, c->in, difference, wild ? "wild" : "tame");
    wrongs++;
  }
  text_free(&text);
  graph_free(raw);
  graph_free(built);
  session_free(&session);
  return wrongs;
}

static void test_rules(void **state) {
  int wrongs = 0;
  for (size_t i = 0; i < CASES; i++) wrongs += check_case(&cases[i]);
  assert_int_equal(wrongs, 0);
}

/* A rule without an example fails here. */
static void test_every_rule_has_an_example(void **state) {
  static const char *const names[] = {
#define RULE(name, ...) #name,
#define RULE_KIND(name, ...) #name,
#include "rules.def"
#undef RULE
#undef RULE_KIND
  };
  for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
    bool found = false;
    for (size_t i = 0; i < CASES; i++) found |= !strcmp(names[k], cases[i].rule) && !cases[i].kept;
    if (!found) fail_msg("the rule %s has no example", names[k]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_rules), cmocka_unit_test(test_every_rule_has_an_example)};
  return cmocka_run_group_tests_name("graph_rules", tests, NULL, NULL);
}
