/* STM32F405 and F446: ST RM0090 and RM0390; addresses 2.3 and 2.2.2, clocks of peripherals 7.3.10 to 7.3.14 and
 * 6.3.10 to 6.3.14. Which USART and which pins are the target's facts. */
#define EDGESLM_STM32_USART 1
#define EDGESLM_STM32_GPIO 0x40020000u    /* port A */
#define EDGESLM_STM32_GPIO_ON 0x40023830u /* RCC_AHB1ENR: port A is bit 0 */
#define EDGESLM_STM32_RESET_HZ 16000000u  /* the internal oscillator, undivided */

#define EDGESLM_APB1_ON 0x40023840u
#define EDGESLM_APB2_ON 0x40023844u

#if EDGESLM_UART == 1
#define EDGESLM_USART 0x40011000u
#define EDGESLM_USART_ON EDGESLM_APB2_ON
#define EDGESLM_USART_BIT 4u
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
#elif EDGESLM_UART == 6
#define EDGESLM_USART 0x40011400u
#define EDGESLM_USART_ON EDGESLM_APB2_ON
#define EDGESLM_USART_BIT 5u
#endif

/* APB1 gets a quarter of the core's clock, APB2 half: within 45 and 90 MHz at 180, and 42 and 84 at 168. */
#if EDGESLM_UART == 1 || EDGESLM_UART == 6
#define EDGESLM_UART_HZ (EDGESLM_CLOCK_HZ / 2u)
#else
#define EDGESLM_UART_HZ (EDGESLM_CLOCK_HZ / 4u)
#endif
