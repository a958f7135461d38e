// The factor of every unit of a layer, computed from the layer's weights:
//   r_n = sum_i |w_ni|,   m_n = clip(2 r_n / max r, 1, 2) = 1 + j_n / 2^FACTOR_BITS        Dellaferrera et al. 2022
// j_n is the nearest step, with ties upward: |m_n - its exact value| <= 2^-(FACTOR_BITS + 1). It computes the same bits
// as grapes::fixed::factor_steps.
//
// First the weights stream in, LANES per beat, unit by unit. The sums are stored in a memory, and the maximum is kept.
// Then each sum is divided by the maximum, one bit per cycle, with one subtractor (README.md in this folder explains
// why that is enough). The j_n stream out in the order of the units. The next layer's weights are accepted when the
// last factor has been computed.
module grapes_modulation #(
    parameter int WEIGHT_BITS = 8,  // bits of a weight, two's complement, 2 to 32
    parameter int NODES = 256,      // maximum number of units of a layer
    parameter int INPUTS = 256,     // maximum number of weights of a unit
    parameter int FACTOR_BITS = 2,  // fraction bits of the factor, 0 to 8
    parameter int LANES = 1         // weights per beat; the last beat of a unit is padded with zeros
) (
    input  logic                         clk,
    input  logic                         rst,
    // A transfer takes place at a clock edge at which valid and ready are both high.
    input  logic                         w_valid,
    output logic                         w_ready,
    input  logic [LANES*WEIGHT_BITS-1:0] w_data,   // lane 0 is the lowest
    input  logic                         w_last,   // last beat of the unit
    input  logic                         w_end,    // last beat of the layer, which is also the last of its unit
    output logic                         j_valid,
    input  logic                         j_ready,
    output logic [FACTOR_BITS:0]         j_data,   // 0 to 2^FACTOR_BITS
    output logic                         j_end     // last factor of the layer
);
  if (WEIGHT_BITS < 2 || WEIGHT_BITS > 32) $error("grapes_modulation: WEIGHT_BITS must be 2 to 32; got %0d", WEIGHT_BITS);
  if (NODES < 1) $error("grapes_modulation: NODES must be at least 1; got %0d", NODES);
  if (INPUTS < 1) $error("grapes_modulation: INPUTS must be at least 1; got %0d", INPUTS);
  if (FACTOR_BITS < 0 || FACTOR_BITS > 8) $error("grapes_modulation: FACTOR_BITS must be 0 to 8; got %0d", FACTOR_BITS);
  if (LANES < 1) $error("grapes_modulation: LANES must be at least 1; got %0d", LANES);

  localparam int BEAT_BITS = WEIGHT_BITS - 1 + $clog2(LANES + 1);
  localparam int R_BITS = WEIGHT_BITS - 1 + $clog2(INPUTS + 1);
  localparam int NODE_BITS = NODES > 1 ? $clog2(NODES) : 1;
  localparam int STEP_BITS = $clog2(FACTOR_BITS + 2);
  localparam logic [STEP_BITS-1:0] LAST_STEP = STEP_BITS'(FACTOR_BITS + 1);
  localparam logic [FACTOR_BITS:0] ONE = (FACTOR_BITS + 1)'(1 << FACTOR_BITS);

  logic done;  // high in the cycle that computes the layer's last factor

  // ---- The sums, in three stages: per beat, per unit, and their maximum.

  // As an unsigned number, |-2^(b-1)| is exactly 2^(b-1).
  function automatic logic [WEIGHT_BITS-1:0] magnitude(input logic [WEIGHT_BITS-1:0] w);
    magnitude = w[WEIGHT_BITS-1] ? -w : w;
  endfunction

  logic [BEAT_BITS-1:0] lanes_sum, beat;
  logic beat_valid, beat_last, beat_end;
  logic [R_BITS-1:0] r, most;
  logic r_first, r_valid, r_end;
  logic [NODE_BITS-1:0] nodes;  // number of sums so far, modulo 2^NODE_BITS

  always_comb begin
    lanes_sum = 0;
    for (int lane = 0; lane < LANES; lane++)
      lanes_sum = lanes_sum + BEAT_BITS'(magnitude(w_data[lane*WEIGHT_BITS+:WEIGHT_BITS]));
  end

  always_ff @(posedge clk) begin
    beat <= lanes_sum;
    beat_valid <= w_valid && w_ready && !rst;
    beat_last <= w_last || w_end;
    beat_end <= w_end;

    if (beat_valid) r <= (r_first ? 0 : r) + R_BITS'(beat);
    if (beat_valid) r_first <= beat_last;
    r_valid <= beat_valid && beat_last && !rst;
    r_end <= beat_end;

    if (r_valid && r > most) most <= r;
    if (r_valid) nodes <= nodes + 1;

    if (w_valid && w_ready && w_end) w_ready <= 0;
    if (rst || done) begin
      w_ready <= 1;
      r_first <= 1;
      nodes <= 0;
      most <= 1;  // not 0: in a layer of zeros every r is then below half of it, which gives the factor 1
    end
  end

  // ---- From the memory to the divider. `waiting`: the sum of unit `at` is at the memory's output.

  logic fetch, waiting, take, last;
  logic [NODE_BITS-1:0] at, after, read_at;
  logic [R_BITS-1:0] waiting_r;

  assign after = at + 1;
  assign last = after == nodes;
  assign read_at = !take ? at : last ? 0 : after;

  grapes_memory #(
      .WIDTH(R_BITS),
      .WORDS(NODES),
      .ADDRESS_BITS(NODE_BITS)
  ) sums (
      .clk(clk),
      .write(r_valid),
      .write_at(nodes),
      .written(r),
      .read_at(read_at),
      .read(waiting_r)
  );

  always_ff @(posedge clk) begin
    fetch <= r_valid && r_end && !rst;
    if (fetch) waiting <= 1;
    if (take && last || rst) waiting <= 0;
    at <= rst ? 0 : read_at;
  end

  // ---- The divider: 2 r / max r = q.qqq..., FACTOR_BITS + 2 bits, the highest first. Each step doubles the remainder
  // and subtracts the maximum if the result is not negative. The remainder never exceeds the maximum. If they are equal
  // (r = max r), all bits are ones, and rounding carries them to 2.

  logic busy, busy_end, out_free, finish, found;
  logic [STEP_BITS-1:0] step;
  logic [R_BITS-1:0] left;
  logic [R_BITS:0] trial;
  logic [FACTOR_BITS:0] quotient;

  assign trial = {left, 1'b0} - {1'b0, most};
  assign found = !trial[R_BITS];
  assign out_free = !j_valid || j_ready;
  assign finish = busy && step == LAST_STEP && out_free;
  assign done = finish && busy_end;
  assign take = waiting && (!busy || finish);

  always_ff @(posedge clk) begin
    if (take) begin
      step <= 0;
      left <= waiting_r;
      busy_end <= last;
    end else if (step != LAST_STEP) begin
      step <= step + 1;
      left <= found ? trial[R_BITS-1:0] : left << 1;
      quotient <= quotient << 1 | (FACTOR_BITS + 1)'(found);
    end
    busy <= (take || busy && !finish) && !rst;

    // Below 1 the quotient's first bit is 0, and the factor is clipped. The last bit is for rounding.
    if (finish) j_data <= quotient[FACTOR_BITS] ? quotient - ONE + (FACTOR_BITS + 1)'(found) : 0;
    if (finish) j_end <= busy_end;
    j_valid <= (finish || j_valid && !j_ready) && !rst;
  end
endmodule
