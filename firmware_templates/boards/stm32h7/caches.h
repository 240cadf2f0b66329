/* Both caches of a Cortex-M7. */
#ifndef EDGESLM_CACHES_H
#define EDGESLM_CACHES_H

/* Empty them and switch them on. */
void start_caches(void);

#endif
