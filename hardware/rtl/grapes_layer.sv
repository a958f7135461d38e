// A tile that finds its own factors: the modulation unit reads the tile's weights while they go once around, bottom row
// out and in again at the top, and hands the factors back. Asked for by `f_valid`, before every batch or more seldom.
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
    // What has valid and ready is taken at the clock edge that finds both high.
    input  logic                            u_valid,       // an example
    output logic                            u_ready,
    input  logic [     ROWS*ERROR_BITS-1:0] u_error,
    input  logic [COLS*ACTIVATION_BITS-1:0] u_activation,
    input  logic                            w_valid,       // a row of weights in at the top, one out at the bottom
    output logic                            w_ready,
    input  logic [    COLS*WEIGHT_BITS-1:0] w_in,
    output logic [    COLS*WEIGHT_BITS-1:0] w_out,
    input  logic                            f_valid,       // find factors, of the weights as they then are
    output logic                            f_ready
);
  localparam int ROW_BITS = ROWS > 1 ? $clog2(ROWS) : 1;
  localparam logic [ROW_BITS-1:0] LAST_ROW = ROW_BITS'(ROWS - 1);

  // `open`: examples and weights may come. Otherwise the weights go around while `turning`; then factors come.
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
