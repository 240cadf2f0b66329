/* MPS3 with the image AN547: UART 0 at its secure address; its clock is not the core's. */
#define EDGESLM_UART_CMSDK 0x59303000u
#define EDGESLM_UART_CLOCK 25000000u
