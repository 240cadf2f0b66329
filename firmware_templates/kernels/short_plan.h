/* Places in an edgeslm_linear_plan (integer_cores.h); for assembly files. */
#define PLAN_HEAD 8
#define PLAN_BLOCK 12
#define PLAN_COLUMNS 16
#define PLAN_ZERO 20
#define PLAN_LOW 24
#define PLAN_HIGH 28
#define PLAN_CORRECTIONS 32
#define PLAN_Y_STEP 40
