/* The scalar of the engine: float, or double in `make BUILD=f64`, where gradients are checked. */
#ifndef BL_BASE_REAL_H
#define BL_BASE_REAL_H

#ifdef BL_F64
typedef double real;
#else
typedef float real;
#endif

#endif
