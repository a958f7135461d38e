// WORDS words, with one write and one read per cycle. `read` is the word at the `read_at` of the previous cycle. If the
// same word was written in that cycle, `read` is the old one.
module grapes_memory #(
    parameter int WIDTH = 16,
    parameter int WORDS = 256,
    parameter int ADDRESS_BITS = 8
) (
    input  logic                    clk,
    input  logic                    write,
    input  logic [ADDRESS_BITS-1:0] write_at,
    input  logic [WIDTH-1:0]        written,
    input  logic [ADDRESS_BITS-1:0] read_at,
    output logic [WIDTH-1:0]        read
);
  logic [WIDTH-1:0] words[0:WORDS-1];

  always_ff @(posedge clk) begin
    if (write) words[write_at] <= written;
    read <= words[read_at];
  end
endmodule
