// A weight of the tile. Every cycle it takes one learning step,
//   weight <- sat(weight - floor((error activation + 2^(SHIFT-1)) / 2^SHIFT))
// which does nothing for an error of 0. If `move` is high, it takes the weight of the cell above instead. It computes
// the same bits as grapes::fixed::update.
module grapes_cell #(
    parameter int WEIGHT_BITS = 8,
    parameter int ERROR_BITS = 8,
    parameter int ACTIVATION_BITS = 8,
    parameter int SHIFT = 7            // 0 to ERROR_BITS + ACTIVATION_BITS; the learning rate is 2^-SHIFT
) (
    input  logic                              clk,
    input  logic signed [     ERROR_BITS-1:0] error,
    input  logic signed [ACTIVATION_BITS-1:0] activation,
    input  logic                              move,
    input  logic signed [    WEIGHT_BITS-1:0] above,
    output logic signed [    WEIGHT_BITS-1:0] weight
);
  if (WEIGHT_BITS < 2 || WEIGHT_BITS > 32) $error("grapes_cell: WEIGHT_BITS must be 2 to 32; got %0d", WEIGHT_BITS);
  if (ERROR_BITS < 2 || ERROR_BITS > 32) $error("grapes_cell: ERROR_BITS must be 2 to 32; got %0d", ERROR_BITS);
  if (ACTIVATION_BITS < 2 || ACTIVATION_BITS > 32) $error("grapes_cell: ACTIVATION_BITS must be 2 to 32; got %0d", ACTIVATION_BITS);
  if (SHIFT < 0 || SHIFT > ERROR_BITS + ACTIVATION_BITS)
    $error("grapes_cell: SHIFT must be 0 to %0d; got %0d", ERROR_BITS + ACTIVATION_BITS, SHIFT);

  localparam int PRODUCT_BITS = ERROR_BITS + ACTIVATION_BITS;
  localparam int BITS = (PRODUCT_BITS > WEIGHT_BITS ? PRODUCT_BITS : WEIGHT_BITS) + 2;  // wide enough for the sums below
  localparam logic signed [BITS-1:0] HALF = SHIFT == 0 ? 0 : BITS'(1) << (SHIFT - 1);
  localparam logic signed [BITS-1:0] MOST = (BITS'(1) << (WEIGHT_BITS - 1)) - 1;

  logic signed [PRODUCT_BITS-1:0] product;
  logic signed [BITS-1:0] next;

  always_comb begin
    product = error * activation;
    next = BITS'(weight) - ((BITS'(product) + HALF) >>> SHIFT);
    if (next > MOST) next = MOST;
    if (next < -MOST - 1) next = -MOST - 1;
  end

  always_ff @(posedge clk) weight <= move ? above : next[WEIGHT_BITS-1:0];
endmodule
