/* STM32U575: ST RM0456; addresses 2.3, clocks of peripherals 11.8.26 to 11.8.32. Which USART and which pins are
 * the target's facts. TrustZone is off (option TZEN, as delivered): all addresses are the non-secure ones. */
#define EDGESLM_STM32_USART 2
#define EDGESLM_STM32_GPIO 0x42020000u    /* port A */
#define EDGESLM_STM32_GPIO_ON 0x46020c8cu /* RCC_AHB2ENR1: port A is bit 0 */
#define EDGESLM_STM32_RESET_HZ 4000000u   /* the multi-speed oscillator, MSIS */
#define EDGESLM_UART_HZ EDGESLM_CLOCK_HZ  /* no bus divides */

#define EDGESLM_APB1_ON 0x46020c9cu /* RCC_APB1ENR1 */
#define EDGESLM_APB2_ON 0x46020ca4u /* RCC_APB2ENR */

#if EDGESLM_UART == 1
#define EDGESLM_USART 0x40013800u
#define EDGESLM_USART_ON EDGESLM_APB2_ON
#define EDGESLM_USART_BIT 14u
#elif EDGESLM_UART == 2
#define EDGESLM_USART 0x40004400u
#define EDGESLM_USART_ON EDGESLM_APB1_ON
#define EDGESLM_USART_BIT 17u
#elif EDGESLM_UART == 3
#define EDGESLM_USART 0x40004800u
#define EDGESLM_USART_ON EDGESLM_APB1_ON
#define EDGESLM_USART_BIT 18u
#elif EDGESLM_UART == 4
#define EDGESLM_USART 0x40004c00u
#define EDGESLM_USART_ON EDGESLM_APB1_ON
#define EDGESLM_USART_BIT 19u
#elif EDGESLM_UART == 5
#define EDGESLM_USART 0x40005000u
#define EDGESLM_USART_ON EDGESLM_APB1_ON
#define EDGESLM_USART_BIT 20u
#endif
