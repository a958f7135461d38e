// A tile that computes its own factors. The modulation unit reads the tile's weights while they rotate once, from the
// bottom row back in at the top, and returns the factors. `f_valid` requests it, before every batch or less often.
module grapes_layer #(
    parameter int ROWS = 8,
    parameter int COLS = 8,
    parameter int WEIGHT_BITS = 8,
    parameter int ERROR_BITS = 8,
    parameter int ACTIVATION_BITS = 8,
    parameter int FACTOR_BITS = 2,
    parameter int SHIFT = 7
) (
    input  logic                            clk,
    input  logic                            rst,
    // A transfer takes place at a clock edge at which valid and ready are both high.
    input  logic                            u_valid,       // an example
    output logic                            u_ready,
    input  logic [     ROWS*ERROR_BITS-1:0] u_error,
    input  logic [COLS*ACTIVATION_BITS-1:0] u_activation,
    input  logic                            w_valid,       // one row of weights in at the top, one out at the bottom
    output logic                            w_ready,
    input  logic [    COLS*WEIGHT_BITS-1:0] w_in,
    output logic [    COLS*WEIGHT_BITS-1:0] w_out,
    input  logic                            f_valid,       // compute the factors of the current weights
    output logic                            f_ready
);
  localparam int ROW_BITS = ROWS > 1 ? $clog2(ROWS) : 1;
  localparam logic [ROW_BITS-1:0] LAST_ROW = ROW_BITS'(ROWS - 1);

  // `open`: examples and weights are accepted. Otherwise weights rotate while `turning`; then factors arrive.
  logic open, turning;
  logic [ROW_BITS-1:0] turned;
  logic tile_ready, modulation_ready, turn;
  logic j_valid, j_end;
  logic [FACTOR_BITS:0] j_data;

  assign u_ready = open;
  assign f_ready = open;
  assign w_ready = open && tile_ready;
  assign turn = turning && tile_ready && modulation_ready;

  always_ff @(posedge clk) begin
    if (open && f_valid) begin
      open <= 0;
      turning <= 1;
    end
    if (turn) begin
      turned <= turned == LAST_ROW ? 0 : turned + 1;
      if (turned == LAST_ROW) turning <= 0;
    end
    if (j_valid && j_end) open <= 1;
    if (rst) begin
      open <= 1;
      turning <= 0;
      turned <= 0;
    end
  end

  grapes_tile #(
      .ROWS           (ROWS),
      .COLS           (COLS),
      .WEIGHT_BITS    (WEIGHT_BITS),
      .ERROR_BITS     (ERROR_BITS),
      .ACTIVATION_BITS(ACTIVATION_BITS),
      .FACTOR_BITS    (FACTOR_BITS),
      .SHIFT          (SHIFT)
  ) tile (
      .clk         (clk),
      .rst         (rst),
      .u_valid     (u_valid && u_ready),
      .u_error     (u_error),
      .u_activation(u_activation),
      .w_valid     (turn || w_valid && open),
      .w_ready     (tile_ready),
      .w_in        (turning ? w_out : w_in),
      .w_out       (w_out),
      .j_valid     (j_valid),
      .j_data      (j_data)
  );

  grapes_modulation #(
      .WEIGHT_BITS(WEIGHT_BITS),
      .NODES      (ROWS),
      .INPUTS     (COLS),
      .FACTOR_BITS(FACTOR_BITS),
      .LANES      (COLS)
  ) modulation (
      .clk    (clk),
      .rst    (rst),
      .w_valid(turning && tile_ready),
      .w_ready(modulation_ready),
      .w_data (w_out),
      .w_last (1'b1),
      .w_end  (turned == LAST_ROW),
      .j_valid(j_valid),
      .j_ready(1'b1),
      .j_data (j_data),
      .j_end  (j_end)
  );
endmodule
