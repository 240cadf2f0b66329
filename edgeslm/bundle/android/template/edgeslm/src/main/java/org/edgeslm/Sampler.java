package org.edgeslm;

import java.util.Arrays;

/**
 * Chooses the tokens of one answer, as sampling.py of the device package does: repetition penalty, temperature, top-k,
 * top-p, min-p, in this order, and the same random numbers for the same seed. Exponentials may differ from numpy's in
 * the last bit, so that one draw in some ten millions falls on another token.
 */
final class Sampler {
    private static final int FIRST_NUCLEUS = 256;
    private static final float LEAST = -Float.MAX_VALUE;

    private final GenerateOptions options;
    private final Pcg64 random;
    private final boolean[] seen;
    private int[] tokens = new int[0];
    private float[] weights = new float[0];
    private int kept;

    Sampler(GenerateOptions options, int[] prompt, int vocabulary) {
        this.options = options;
        random = new Pcg64(options.seed);
        seen = options.repetitionPenalty == 1 ? null : new boolean[vocabulary];
        for (int i = 0; seen != null && i < prompt.length; i++) {
            if (prompt[i] < vocabulary) { // a tokenizer may know more tokens than the model gives
                seen[prompt[i]] = true;
            }
        }
    }

    /**
     * The next token. {@code logits} may be changed.
     *
     * @throws RuntimeFailedException where the model gave no number
     */
    int choose(float[] logits) throws RuntimeFailedException {
        if (seen == null && options.temperature == 0) {
            return likeliest(logits);
        }
        for (int i = 0; i < logits.length; i++) {
            if (!(logits[i] <= Float.MAX_VALUE)) { // infinite, or no number
                logits[i] = Float.NEGATIVE_INFINITY;
            }
        }
        if (seen != null) {
            penalize(logits);
        }
        int best = likeliest(logits);
        int token = options.temperature == 0 ? best : draw(logits, logits[best]);
        if (seen != null) {
            seen[token] = true;
        }
        return token;
    }

    /** The token with the greatest logit; the first of several. What is not finite does not count. */
    static int likeliest(float[] logits) throws RuntimeFailedException {
        int best = -1;
        for (int i = 0; i < logits.length; i++) {
            float logit = logits[i];
            if ((best < 0 || logit > logits[best]) && logit >= LEAST && logit <= Float.MAX_VALUE) {
                best = i;
            }
        }
        if (best < 0) {
            throw new RuntimeFailedException(
                    "the model gave no number: all its logits are infinite or not a number",
                    "build it with another scheme (fp16 may overflow where fp32 or int8 does not)",
                    null);
        }
        return best;
    }

    private void penalize(float[] logits) {
        float penalty = (float) options.repetitionPenalty;
        for (int i = 0; i < logits.length; i++) {
            float logit = logits[i];
            if (seen[i] && logit >= LEAST) {
                logits[i] = Math.max(Math.min(logit < 0 ? logit * penalty : logit / penalty, -LEAST), LEAST);
            }
        }
    }

    private int draw(float[] logits, float largest) {
        weigh(logits, largest);
        if (options.topP < 1) {
            keepNucleus();
        }
        if (options.minP > 0) {
            keepLikely();
        }
        double[] mass = new double[kept];
        double sum = 0;
        for (int i = 0; i < kept; i++) {
            sum += weights[i];
            mass[i] = sum;
        }
        double wanted = random.random() * sum;
        for (int i = 0; i < kept; i++) {
            // Where the product is rounded up to the whole mass: the last token that has any.
            if (mass[i] > wanted || mass[i] == sum) {
                return tokens[i];
            }
        }
        throw new IllegalStateException("no token has any mass");
    }

    /** The tokens that may be drawn, in order of their number, and how likely they are beside the likeliest one. */
    private void weigh(float[] logits, float largest) {
        if (tokens.length != logits.length) {
            tokens = new int[logits.length];
            weights = new float[logits.length];
        }
        float least = LEAST;
        if (options.topK > 0 && options.topK < logits.length) {
            least = Math.max(Largest.of(logits, logits.length, options.topK), LEAST); // and all that are as likely
        }
        kept = 0;
        for (int i = 0; i < logits.length; i++) {
            float logit = logits[i];
            if (logit >= least) {
                double scaled = (double) (logit - largest) / options.temperature;
                tokens[kept] = i;
                weights[kept++] = (float) Math.exp((double) (float) scaled);
            }
        }
    }

    /** The fewest tokens that hold the share, the likeliest first; of equals, the first. */
    private void keepNucleus() {
        double sum = 0;
        for (int i = 0; i < kept; i++) {
            sum += weights[i];
        }
        double wanted = options.topP * sum;
        for (int count = FIRST_NUCLEUS; ; count *= 8) {
            float least = count < kept ? Largest.of(weights, kept, count) : 0;
            long[] order = new long[kept];
            int greatest = 0;
            for (int i = 0; i < kept; i++) {
                if (weights[i] >= least) {
                    // Not negative, so their bits are ordered as they are: the largest weight, then the first place.
                    order[greatest++] = (long) ~Float.floatToRawIntBits(weights[i]) << 32 | i;
                }
            }
            Arrays.sort(order, 0, greatest);
            double mass = 0;
            int inside = 0;
            while (inside < greatest && mass < wanted) {
                mass += weights[(int) order[inside++]];
            }
            if (mass >= wanted || greatest == kept) {
                keep(order, Math.max(inside, 1));
                return;
            }
        }
    }

    private void keep(long[] order, int count) {
        int[] chosen = new int[count];
        float[] masses = new float[count];
        for (int i = 0; i < count; i++) {
            chosen[i] = tokens[(int) order[i]];
            masses[i] = weights[(int) order[i]];
        }
        System.arraycopy(chosen, 0, tokens, 0, count);
        System.arraycopy(masses, 0, weights, 0, count);
        kept = count;
    }

    private void keepLikely() {
        float largest = 0;
        for (int i = 0; i < kept; i++) {
            largest = Math.max(largest, weights[i]);
        }
        float least = (float) options.minP * largest;
        int count = 0;
        for (int i = 0; i < kept; i++) {
            if (weights[i] >= least) {
                tokens[count] = tokens[i];
                weights[count++] = weights[i];
            }
        }
        kept = count;
    }
}
