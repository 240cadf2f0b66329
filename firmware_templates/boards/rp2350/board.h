/* RP2350: its data sheet's 2.2 (addresses), 7.5.3 (resets). Which UART and which pins are the target's facts. */
#define EDGESLM_RP_CLOCKS 0x40010000u
#define EDGESLM_RP_RESETS 0x40020000u
#define EDGESLM_RP_PINS 0x40028000u /* IO_BANK0 */
#define EDGESLM_RP_PADS 0x40038000u /* PADS_BANK0 */
#define EDGESLM_RP_CRYSTAL 0x40048000u
#define EDGESLM_RP_PLL 0x40050000u
#define EDGESLM_RP_UART (EDGESLM_UART ? 0x40078000u : 0x40070000u)

/* Bits of RESETS */
#define EDGESLM_RP_RESET_PINS (1u << 6)
#define EDGESLM_RP_RESET_PADS (1u << 9)
#define EDGESLM_RP_RESET_PLL (1u << 14)
#define EDGESLM_RP_RESET_UART (1u << (26 + EDGESLM_UART))
