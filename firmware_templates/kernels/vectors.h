/* Intrinsics of Helium and of the DSP extension, where the build says that the core has them. */
#ifndef EDGESLM_VECTORS_H
#define EDGESLM_VECTORS_H

#include "edgeslm_kernels.h"

#if EDGESLM_MVE
#include <arm_mve.h>
#elif EDGESLM_DSP
#include <arm_acle.h>
#endif

#endif
