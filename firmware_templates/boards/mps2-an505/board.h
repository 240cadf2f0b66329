/* MPS2+ with the image AN505: UART 0 at its secure address. */
#define EDGESLM_UART_CMSDK 0x50200000u
#define EDGESLM_UART_CLOCK 20000000u
