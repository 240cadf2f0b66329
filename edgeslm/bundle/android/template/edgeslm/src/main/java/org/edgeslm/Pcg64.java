package org.edgeslm;

/**
 * numpy's Generator(PCG64(seed)).random(): the same seed draws the same numbers here and in the device package.
 *
 * <p>PCG XSL RR 128/64 (O'Neill 2014, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for
 * Random Number Generation"), seeded through numpy's SeedSequence, which is O'Neill's seed_seq_fe with a pool of four
 * words. 128-bit numbers are two longs here, and 32-bit unsigned ones are ints.
 */
final class Pcg64 {
    private static final long MULTIPLIER_HIGH = 2549297995355413924L;
    private static final long MULTIPLIER_LOW = 4865540595714422341L;
    private static final int POOL = 4;

    private long high;
    private long low;
    private final long incrementHigh;
    private final long incrementLow;

    Pcg64(long seed) {
        long[] words = seeded(seed);
        incrementHigh = words[2] << 1 | words[3] >>> 63;
        incrementLow = words[3] << 1 | 1;
        step();
        long sum = low + words[1];
        high += words[0] + (Long.compareUnsigned(sum, low) < 0 ? 1 : 0);
        low = sum;
        step();
    }

    /** From 0 to below 1. */
    double random() {
        step();
        long bits = Long.rotateRight(high ^ low, (int) (high >>> 58));
        return (bits >>> 11) * (1.0 / (1L << 53));
    }

    /** state * multiplier + increment */
    private void step() {
        long productHigh = high * MULTIPLIER_LOW + low * MULTIPLIER_HIGH + highOfProduct(low, MULTIPLIER_LOW);
        long productLow = low * MULTIPLIER_LOW;
        low = productLow + incrementLow;
        high = productHigh + incrementHigh + (Long.compareUnsigned(low, productLow) < 0 ? 1 : 0);
    }

    /** The upper half of an unsigned product; Math.multiplyHigh came with Android 12. */
    private static long highOfProduct(long one, long other) {
        long oneLow = one & 0xffffffffL;
        long oneHigh = one >>> 32;
        long otherLow = other & 0xffffffffL;
        long otherHigh = other >>> 32;
        long middle = oneHigh * otherLow + (oneLow * otherLow >>> 32);
        long rest = oneLow * otherHigh + (middle & 0xffffffffL);
        return oneHigh * otherHigh + (middle >>> 32) + (rest >>> 32);
    }

    /** SeedSequence(seed).generate_state(4, uint64). */
    private static long[] seeded(long seed) {
        int[] entropy = new int[] {(int) seed, (int) (seed >>> 32)};
        int[] pool = new int[POOL];
        int constant = 0x43b0d7e5;
        for (int i = 0; i < POOL; i++) {
            int value = i < entropy.length ? entropy[i] : 0;
            value ^= constant;
            constant *= 0x931e8875;
            value *= constant;
            pool[i] = value ^ value >>> 16;
        }
        for (int from = 0; from < POOL; from++) {
            for (int to = 0; to < POOL; to++) {
                if (from != to) {
                    int value = pool[from] ^ constant;
                    constant *= 0x931e8875;
                    value *= constant;
                    value ^= value >>> 16;
                    int mixed = 0xca01f9dd * pool[to] - 0x4973f715 * value;
                    pool[to] = mixed ^ mixed >>> 16;
                }
            }
        }
        int[] halves = new int[8];
        constant = 0x8b51f9dd;
        for (int i = 0; i < halves.length; i++) {
            int value = pool[i % POOL] ^ constant;
            constant *= 0x58f38ded;
            value *= constant;
            halves[i] = value ^ value >>> 16;
        }
        long[] words = new long[4];
        for (int i = 0; i < words.length; i++) {
            words[i] = halves[2 * i] & 0xffffffffL | (long) halves[2 * i + 1] << 32;
        }
        return words;
    }
}
