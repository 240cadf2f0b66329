package org.edgeslm;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.Executor;

/**
 * How an answer is generated. Every setter answers with the object itself:
 * {@code new GenerateOptions().chat(true).maxTokens(128)}. Values out of range raise IllegalArgumentException at once.
 *
 * <p>Draws are those of the device package in Python for the same seed: see docs/android.md.
 */
public final class GenerateOptions implements Cloneable {
    int maxTokens = 256;
    double temperature;
    int topK;
    double topP = 1;
    double minP;
    double repetitionPenalty = 1;
    long seed;
    List<String> stops = Collections.emptyList();
    boolean chat;
    boolean truncate;
    boolean reuseCache;
    Executor executor;

    /** Tokens that the answer has at most, 256 unless told. */
    public GenerateOptions maxTokens(int tokens) {
        require(tokens >= 1, "maxTokens", tokens, "at least 1");
        maxTokens = tokens;
        return this;
    }

    /** 0, as unless told, always takes the likeliest token; the larger, the less likely tokens are drawn. */
    public GenerateOptions temperature(double value) {
        require(value >= 0 && value < Double.POSITIVE_INFINITY, "temperature", value, "a number from 0");
        temperature = value;
        return this;
    }

    /** Draw from so many likeliest tokens; 0, as unless told: from all. */
    public GenerateOptions topK(int tokens) {
        require(tokens >= 0, "topK", tokens, "a whole number from 0");
        topK = tokens;
        return this;
    }

    /** Draw from the fewest tokens that are so likely together (Holtzman et al. 2020); 1, as unless told: from all. */
    public GenerateOptions topP(double share) {
        require(share > 0 && share <= 1, "topP", share, "above 0 and at most 1");
        topP = share;
        return this;
    }

    /** Draw from tokens that are at least so likely beside the likeliest one (Nguyen et al. 2024). */
    public GenerateOptions minP(double share) {
        require(share >= 0 && share <= 1, "minP", share, "from 0 to 1");
        minP = share;
        return this;
    }

    /** Above 1, tokens of prompt and answer become less likely (Keskar et al. 2019); 1, as unless told: none do. */
    public GenerateOptions repetitionPenalty(double factor) {
        require(factor > 0 && factor < Double.POSITIVE_INFINITY, "repetitionPenalty", factor, "a number above 0");
        repetitionPenalty = factor;
        return this;
    }

    /** The same seed gives the same answer; 0 unless told. */
    public GenerateOptions seed(long number) {
        require(number >= 0, "seed", number, "a whole number from 0");
        seed = number;
        return this;
    }

    /** The answer ends before the first of these texts, which is not a part of it. */
    public GenerateOptions stop(String... texts) {
        for (String text : texts) {
            if (text.isEmpty()) {
                throw new IllegalArgumentException("a stop text is empty: leave it out");
            }
        }
        stops = Collections.unmodifiableList(new ArrayList<>(Arrays.asList(texts)));
        return this;
    }

    /** The prompt is a user's message, around which the model's chat template is put. */
    public GenerateOptions chat(boolean whether) {
        chat = whether;
        return this;
    }

    /** Of a prompt that is too long, keep the end that leaves room for maxTokens, instead of failing. */
    public GenerateOptions truncate(boolean whether) {
        truncate = whether;
        return this;
    }

    /** Do not compute again what the prompt before began with as well; the last bits may differ then. */
    public GenerateOptions reuseCache(boolean whether) {
        reuseCache = whether;
        return this;
    }

    /** Where the callback is called; the app's main thread unless told. */
    public GenerateOptions executor(Executor where) {
        executor = where;
        return this;
    }

    /** As it is now: what is changed later does not change an answer under way. */
    GenerateOptions copy() {
        try {
            return (GenerateOptions) clone();
        } catch (CloneNotSupportedException impossible) {
            throw new AssertionError(impossible);
        }
    }

    private static void require(boolean fits, String name, Object value, String wanted) {
        if (!fits) {
            throw new IllegalArgumentException(name + " is " + value + "; it must be " + wanted);
        }
    }
}
