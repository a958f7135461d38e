// An error times its unit's factor, by shifts and additions:
//   scaled = sat(floor((error (2^FACTOR_BITS + steps) + 2^(FACTOR_BITS-1)) / 2^FACTOR_BITS))
// rounded to the nearest, ties upward, saturated to ERROR_BITS. Combinational. It computes the same bits as
// grapes::fixed::modulate.
module grapes_scale #(
    parameter int ERROR_BITS  = 8,
    parameter int FACTOR_BITS = 2
) (
    input  logic signed [ERROR_BITS-1:0] error,
    input  logic        [FACTOR_BITS:0]  steps,   // 0 to 2^FACTOR_BITS
    output logic signed [ERROR_BITS-1:0] scaled
);
  localparam int BITS = ERROR_BITS + FACTOR_BITS + 2;  // twice the error, in steps, plus half a step
  localparam logic signed [BITS-1:0] HALF = BITS'((64'd1 << FACTOR_BITS) / 2);
  localparam logic signed [BITS-1:0] MOST = BITS'((64'd1 << (ERROR_BITS - 1)) - 1);

  logic signed [BITS-1:0] wide, sum, whole;

  always_comb begin
    wide = BITS'(error);
    sum  = (wide <<< FACTOR_BITS) + HALF;
    for (int b = 0; b < FACTOR_BITS; b++) sum = sum + (steps[b] ? wide <<< b : 0);
    // The highest bit occurs alone, for twice the error. A shift replaces one more addition.
    if (steps[FACTOR_BITS]) sum = wide <<< (FACTOR_BITS + 1);
    whole = sum >>> FACTOR_BITS;
    if (whole > MOST) whole = MOST;
    if (whole < -MOST - 1) whole = -MOST - 1;
    scaled = whole[ERROR_BITS-1:0];
  end
endmodule
