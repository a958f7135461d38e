// ROWS x COLS weights that learn in place: W[n,i] -= m_n error_n activation_i / 2^SHIFT, one example per cycle.
//
// An example's errors and activations enter together. Errors are multiplied by their row's factor as they enter. Then
// errors move along the rows and activations down the columns, one cell per cycle. Row n starts n cycles later and
// column i i cycles later, so in cell (n, i) error n meets activation i of the same example. Weights move down: each
// move takes in a row at the top and outputs the bottom row, so ROWS moves load one set and unload another.
module grapes_tile #(
    parameter int ROWS = 8,
    parameter int COLS = 8,
    parameter int WEIGHT_BITS = 8,
    parameter int ERROR_BITS = 8,
    parameter int ACTIVATION_BITS = 8,
    parameter int FACTOR_BITS = 2,
    parameter int SHIFT = 7             // 0 to ERROR_BITS + ACTIVATION_BITS
) (
    input  logic                            clk,
    input  logic                            rst,
    // An example, accepted whenever it is valid.
    input  logic                            u_valid,
    input  logic [     ROWS*ERROR_BITS-1:0] u_error,       // row 0 is the lowest
    input  logic [COLS*ACTIVATION_BITS-1:0] u_activation,  // column 0 is the lowest
    // Weights move one row down at a clock edge at which both are high. It is ready when no example is in the tile.
    input  logic                            w_valid,
    output logic                            w_ready,
    input  logic [    COLS*WEIGHT_BITS-1:0] w_in,
    output logic [    COLS*WEIGHT_BITS-1:0] w_out,         // the bottom row
    // Factors move down like weights: the first of ROWS ends in the bottom row.
    input  logic                            j_valid,
    input  logic [           FACTOR_BITS:0] j_data
);
  if (ROWS < 1) $error("grapes_tile: ROWS must be at least 1; got %0d", ROWS);
  if (COLS < 1) $error("grapes_tile: COLS must be at least 1; got %0d", COLS);
  if (FACTOR_BITS < 0 || FACTOR_BITS > 8) $error("grapes_tile: FACTOR_BITS must be 0 to 8; got %0d", FACTOR_BITS);

  localparam int DEPTH = ROWS + COLS - 1;  // cycles from the entry of an example to its last update
  localparam int DEPTH_BITS = $clog2(DEPTH + 1);

  logic [DEPTH_BITS-1:0] on_the_way;
  logic move;

  // Also after a reset: random values in the lines have left them before the first weight arrives.
  assign w_ready = on_the_way == 0;
  assign move = w_valid && w_ready;
  always_ff @(posedge clk)
    if (rst || u_valid) on_the_way <= DEPTH_BITS'(DEPTH);
    else if (on_the_way != 0) on_the_way <= on_the_way - 1;

  logic [ROWS*(FACTOR_BITS+1)-1:0] steps;
  logic [ROWS*COLS*ERROR_BITS-1:0] errors;            // [row][column]
  logic [COLS*ROWS*ACTIVATION_BITS-1:0] activations;  // [column][row]
  logic [(ROWS+1)*COLS*WEIGHT_BITS-1:0] weights;      // [row + 1][column]; above them, the input

  assign weights[COLS*WEIGHT_BITS-1:0] = w_in;
  assign w_out = weights[ROWS*COLS*WEIGHT_BITS+:COLS*WEIGHT_BITS];

  always_ff @(posedge clk)
    if (j_valid) steps <= steps << (FACTOR_BITS + 1) | (ROWS * (FACTOR_BITS + 1))'(j_data);

  for (genvar n = 0; n < ROWS; n++) begin : g_row
    logic [ERROR_BITS-1:0] scaled, error;

    grapes_scale #(
        .ERROR_BITS (ERROR_BITS),
        .FACTOR_BITS(FACTOR_BITS)
    ) scale (
        .error (u_error[n*ERROR_BITS+:ERROR_BITS]),
        .steps (steps[n*(FACTOR_BITS+1)+:FACTOR_BITS+1]),
        .scaled(scaled)
    );

    // Without an example the error is 0, so there is no update.
    always_ff @(posedge clk) error <= u_valid ? scaled : 0;

    grapes_line #(
        .WIDTH(ERROR_BITS),
        .DELAY(n),
        .TAPS (COLS)
    ) row_line (
        .clk  (clk),
        .enter(error),
        .taps (errors[n*COLS*ERROR_BITS+:COLS*ERROR_BITS])
    );
  end

  for (genvar i = 0; i < COLS; i++) begin : g_column
    logic [ACTIVATION_BITS-1:0] activation;

    always_ff @(posedge clk) activation <= u_activation[i*ACTIVATION_BITS+:ACTIVATION_BITS];

    grapes_line #(
        .WIDTH(ACTIVATION_BITS),
        .DELAY(i),
        .TAPS (ROWS)
    ) column_line (
        .clk  (clk),
        .enter(activation),
        .taps (activations[i*ROWS*ACTIVATION_BITS+:ROWS*ACTIVATION_BITS])
    );

    for (genvar n = 0; n < ROWS; n++) begin : g_cell
      grapes_cell #(
          .WEIGHT_BITS    (WEIGHT_BITS),
          .ERROR_BITS     (ERROR_BITS),
          .ACTIVATION_BITS(ACTIVATION_BITS),
          .SHIFT          (SHIFT)
      ) one (
          .clk       (clk),
          .error     (errors[(n*COLS+i)*ERROR_BITS+:ERROR_BITS]),
          .activation(activations[(i*ROWS+n)*ACTIVATION_BITS+:ACTIVATION_BITS]),
          .move      (move),
          .above     (weights[(n*COLS+i)*WEIGHT_BITS+:WEIGHT_BITS]),
          .weight    (weights[((n+1)*COLS+i)*WEIGHT_BITS+:WEIGHT_BITS])
      );
    end
  end
endmodule
