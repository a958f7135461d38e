/* On a Cortex-M under qemu (mps2-an385, mps2-an386): prints the checksum, and the instructions and the stack depth
   of each call. It prints by semihosting. measure.py builds it and runs it with -icount shift=0, where one instruction
   takes a nanosecond of the board's time. */
#include "net.h"

#include "check.h"

#ifndef SAMPLES
#define SAMPLES 200
#endif
#define NANOSECONDS_PER_TICK 40u /* SysTick runs at the boards' 25 MHz */

extern uint32_t stack_low, stack_top, bss_begin, bss_end, data_begin, data_end, data_source;

static volatile uint32_t *const systick = (volatile uint32_t *)0xe000e010;
enum { CONTROL, RELOAD, CURRENT };

static void say(const char *text) {
  register int operation __asm__("r0") = 4; /* SYS_WRITE0 */
  register const char *argument __asm__("r1") = text;
  __asm__ volatile("bkpt 0xab" : "+r"(operation) : "r"(argument) : "memory");
}

static void stop(void) {
  register int operation __asm__("r0") = 0x18; /* SYS_EXIT */
  register int argument __asm__("r1") = 0x20026;
  __asm__ volatile("bkpt 0xab" : "+r"(operation) : "r"(argument) : "memory");
  for (;;) {
  }
}

static void say_number(const char *name, uint32_t number) {
  char text[12];
  unsigned at = sizeof text;
  text[--at] = 0;
  text[--at] = '\n';
  do {
    text[--at] = (char)('0' + number % 10);
    number /= 10;
  } while (number != 0);
  say(name);
  say(" ");
  say(text + at);
}

static void start_clock(void) {
  systick[RELOAD] = 0xffffff;
  systick[CURRENT] = 0;
  systick[CONTROL] = 5; /* on, by the processor's clock, without interrupts */
}
static uint32_t ticks(void) { return 0xffffff - systick[CURRENT]; }

/* The free part of the stack is filled with a pattern. The part of it that remains shows the depth of a call. */
static const uint32_t pattern = 0xdeadbeef;
static uint32_t stack_pointer(void) {
  uint32_t here;
  __asm__ volatile("mov %0, sp" : "=r"(here));
  return here;
}
static void paint(void) {
  for (volatile uint32_t *p = &stack_low; (uint32_t)p < stack_pointer(); ++p) *p = pattern;
}
static uint32_t lowest_used(void) {
  const volatile uint32_t *p = &stack_low;
  while (*p == pattern) ++p;
  return (uint32_t)p;
}

static net_state state;
static check_sample sample;

static void __attribute__((noinline)) infer(void) { (void)net_infer(&state, sample.x, 0); }
#if NET_LEARNS
static void __attribute__((noinline)) learn(void) { (void)net_learn(&state, sample.x, sample.target); }
#endif
/* A loop of two instructions, to test the clock. */
static void __attribute__((noinline)) spin(void) {
  uint32_t n = 10000;
  __asm__ volatile(".syntax unified\n1: subs %0, #1\n bne 1b" : "+l"(n) : : "cc");
}

static void measure(const char *name, void (*call)(void), uint32_t times) {
  uint32_t random = 1, spent = 0;
  for (uint32_t n = 0; n < times; ++n) {
    check_draw(&sample, &random, 0);
    start_clock();
    call();
    spent += ticks();
  }
  say_number(name, (uint32_t)((uint64_t)spent * NANOSECONDS_PER_TICK / times));
}

static void measure_stack(const char *name, void (*call)(void)) {
  paint();
  call();
  say_number(name, stack_pointer() - lowest_used());
}

int main(void) {
  net_init(&state);
  say_number("checksum", check(&state, SAMPLES));
  measure("spin", spin, 10);
  net_init(&state);
  measure("infer", infer, 50);
  measure_stack("infer-stack", infer);
#if NET_LEARNS
  measure("learn", learn, 200);
  measure_stack("learn-stack", learn);
#endif
  stop();
  return 0;
}

void reset(void) {
  for (uint32_t *from = &data_source, *to = &data_begin; to < &data_end;) *to++ = *from++;
  for (uint32_t *p = &bss_begin; p < &bss_end; ++p) *p = 0;
  (void)main();
}

static void fault(void) {
  say("fault\n");
  stop();
}

__attribute__((section(".vectors"), used)) static const void *const vectors[] = {
    &stack_top, (void *)reset, (void *)fault, (void *)fault,
};
