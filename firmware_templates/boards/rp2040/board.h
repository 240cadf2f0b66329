/* RP2040: its data sheet's 2.2 (addresses), 2.14.3 (resets). Which UART and which pins are the target's facts. */
#define EDGESLM_RP_CLOCKS 0x40008000u
#define EDGESLM_RP_RESETS 0x4000c000u
#define EDGESLM_RP_PINS 0x40014000u /* IO_BANK0 */
#define EDGESLM_RP_PADS 0x4001c000u /* PADS_BANK0 */
#define EDGESLM_RP_CRYSTAL 0x40024000u
#define EDGESLM_RP_PLL 0x40028000u
#define EDGESLM_RP_UART (EDGESLM_UART ? 0x40038000u : 0x40034000u)

/* Bits of RESETS */
#define EDGESLM_RP_RESET_PINS (1u << 5)
#define EDGESLM_RP_RESET_PADS (1u << 8)
#define EDGESLM_RP_RESET_PLL (1u << 12)
#define EDGESLM_RP_RESET_UART (1u << (22 + EDGESLM_UART))
