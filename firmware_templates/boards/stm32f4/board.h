/* STM32F405 on the Netduino Plus 2: USART 6 on PC6 (sends, header D1) and PC7 (receives, D0). ST RM0090, DS8626. */
#define EDGESLM_USART 0x40011400u
#define EDGESLM_PORT 0x40020800u     /* GPIO C */
#define EDGESLM_PORT_ENABLE (1u << 2)
#define EDGESLM_USART_ENABLE (1u << 5) /* on APB2 */
#define EDGESLM_PINS 6u                /* and the next one */
#define EDGESLM_PINS_FUNCTION 8u
