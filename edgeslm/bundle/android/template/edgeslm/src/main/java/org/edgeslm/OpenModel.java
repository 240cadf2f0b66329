package org.edgeslm;

import java.io.File;

/** A model with its runtime, its tokenizer, and what its task needs. One thread uses it, but for {@code texts}. */
final class OpenModel {
    final Engine engine;
    final Texts texts;
    final Encoder encoder; // null for a language model
    final LanguageModel language; // null for all others
    final int longest; // tokens of the longest text of an encoder, special ones included
    final int threads;

    private OpenModel(ModelProperties model, Engine engine, Texts texts, int threads) throws EdgeSlmException {
        this.engine = engine;
        this.texts = texts;
        this.threads = threads;
        boolean generates = model.text("task").equals("generation");
        language = generates ? new LanguageModel(model, engine, texts) : null;
        encoder = generates ? null : new Encoder(model, engine);
        int[] lengths = generates ? new int[1] : encoder.lengths();
        int limit = generates ? 0 : model.number("tokenizer.max_length");
        longest = Math.min(limit, lengths[lengths.length - 1]);
    }

    /** {@code kept} and {@code cache} as in EdgeSlm.open. Nothing stays in memory where it fails. */
    static OpenModel open(Assets assets, ModelProperties model, int threads, File kept, File cache)
            throws EdgeSlmException {
        Texts texts = Texts.open(assets, model);
        File file = ModelFile.find(assets, model, kept);
        Engine engine = LiteRtEngine.open(file, threads, new WeightCache(cache, model.text("model.sha256")));
        try {
            return new OpenModel(model, engine, texts, threads);
        } catch (EdgeSlmException failed) {
            engine.close();
            throw failed;
        }
    }

    void close() {
        engine.close();
    }
}
