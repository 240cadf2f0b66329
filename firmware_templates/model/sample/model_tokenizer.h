/* What the tokenizer's table needs of ../tokenizer, and the memory that suffices. Written by edgeslm. */
#ifndef EDGESLM_MODEL_TOKENIZER_H
#define EDGESLM_MODEL_TOKENIZER_H

#define EDGESLM_TOKENIZER_ADDED 1
#define EDGESLM_TOKENIZER_BPE 1
#define EDGESLM_TOKENIZER_BYTE_LEVEL 1
#define EDGESLM_TOKENIZER_DECODE_BYTES 1
#define EDGESLM_TOKENIZER_ID_BYTES 2
#define EDGESLM_TOKENIZER_UNKNOWN 1
#define EDGESLM_MODEL_TEXT_BYTES 15u /* of one token, with what was held back before it */
#define EDGESLM_MODEL_WORK_BYTES(bytes) ((bytes) * 2u + 1u) /* to make tokens of a text: always enough */

#endif
