// A chain of registers. The input reaches tap 0 after DELAY cycles, and each further tap one cycle later. Errors pass
// along a row of the tile and activations down a column in such a line.
module grapes_line #(
    parameter int WIDTH = 8,
    parameter int DELAY = 0,  // 0 ...
    parameter int TAPS  = 1
) (
    // verilator lint_off UNUSEDSIGNAL
    input  logic                  clk,    // unused by a line with a single tap: a tile of one cell
    // verilator lint_on UNUSEDSIGNAL
    input  logic [     WIDTH-1:0] enter,
    output logic [TAPS*WIDTH-1:0] taps
);
  localparam int LENGTH = DELAY + TAPS;

  logic [LENGTH*WIDTH-1:0] line;

  // Tap 0 is `enter` itself; all others are registers.
  assign line[WIDTH-1:0] = enter;
  for (genvar place = 1; place < LENGTH; place++) begin : g_place
    logic [WIDTH-1:0] held;
    always_ff @(posedge clk) held <= line[(place-1)*WIDTH+:WIDTH];
    assign line[place*WIDTH+:WIDTH] = held;
  end
  assign taps = line[LENGTH*WIDTH-1:DELAY*WIDTH];
endmodule
