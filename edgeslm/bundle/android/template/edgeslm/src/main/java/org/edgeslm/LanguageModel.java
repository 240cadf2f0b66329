package org.edgeslm;

import java.util.Arrays;

/** A language model with its tokenizer: prompts in, answers out. All on the thread of the EdgeSlm. */
final class LanguageModel {
    private final Context context;
    private final Texts texts;
    private final int bos; // -1: it has none
    private final boolean addBos;
    private final int[] ends;
    private final String chatBefore; // null: it has no chat template
    private final String chatAfter;
    private final String name;

    LanguageModel(ModelProperties model, Engine engine, Texts texts) throws EdgeSlmException {
        this.texts = texts;
        name = model.text("name");
        context = new Context(new LanguageEngine(model, engine));
        bos = model.has("generation.bos") ? model.number("generation.bos") : -1;
        addBos = model.flag("generation.add_bos");
        ends = model.numbers("generation.eos");
        chatBefore = model.textOrNull("chat.before");
        chatAfter = model.textOrNull("chat.after");
    }

    Context context() {
        return context;
    }

    /** A prompt's tokens, at least one: an empty text is the beginning-of-sequence token alone. */
    int[] promptIds(String prompt, boolean chat) throws EdgeSlmException {
        String text = prompt;
        if (chat) {
            if (chatBefore == null || chatAfter == null) {
                throw new BadTextException(
                        name + " has no chat template, or none that is the same around every message",
                        "leave out chat(true): it goes on with texts");
            }
            text = chatBefore + prompt + chatAfter;
        }
        int[] ids = text.isEmpty() ? new int[0] : texts.ids(text, true);
        if (addBos && bos >= 0 && (ids.length == 0 || ids[0] != bos)) {
            return joined(bos, ids, 0);
        }
        if (ids.length == 0 && bos < 0) {
            throw new BadTextException(
                    "the prompt is empty, and " + name + " has no token to begin a text with", "give it a first word");
        }
        return ids.length > 0 ? ids : new int[] {bos};
    }

    /** Compute an answer to its end and tell {@code generation}. */
    void answer(String prompt, GenerateOptions options, Generation generation) throws EdgeSlmException {
        int[] ids = promptIds(prompt, options.chat);
        if (options.truncate) {
            ids = fitting(ids, options.maxTokens);
        }
        int room = context.engine.context;
        if (ids.length >= room) {
            throw new PromptTooLongException(ids.length, room);
        }
        new Answer(ids, options, generation).compute();
    }

    /** The end of a prompt that is too long, so that the answer has room; BOS stays in front. */
    private int[] fitting(int[] ids, int maxTokens) {
        int all = context.engine.context;
        if (ids.length < all) {
            return ids;
        }
        // An answer that may fill the whole context leaves no room: then each gets half.
        int room = maxTokens < all ? all - maxTokens : Math.max(all / 2, 1);
        if (ids[0] == bos && room > 1) {
            return joined(bos, ids, ids.length - room + 1);
        }
        return Arrays.copyOfRange(ids, ids.length - room, ids.length);
    }

    private static int[] joined(int first, int[] rest, int start) {
        int[] ids = new int[rest.length - start + 1];
        ids[0] = first;
        System.arraycopy(rest, start, ids, 1, rest.length - start);
        return ids;
    }

    /** One answer, token by token. */
    private final class Answer implements LanguageEngine.Interrupt {
        private final int[] prompt;
        private final GenerateOptions options;
        private final Generation generation;
        private final Sampler sampler;
        private final Texts.Stream stream;
        private final Stops stops;
        private int count;

        Answer(int[] prompt, GenerateOptions options, Generation generation) throws BadModelException {
            this.prompt = prompt;
            this.options = options;
            this.generation = generation;
            stream = texts.stream();
            sampler = new Sampler(options, prompt, context.engine.vocabulary);
            stops = options.stops.isEmpty() ? null : new Stops(options.stops);
        }

        @Override
        public boolean isWanted() {
            return generation.isCancelled() || generation.isClosed();
        }

        void compute() throws EdgeSlmException {
            int room = context.engine.context - prompt.length;
            int limit = Math.min(options.maxTokens, room);
            GenerateStats.Reason reason = null;
            int reused = options.reuseCache ? context.common(prompt) : 0;
            long start = System.nanoTime();
            float[] logits = context.enter(prompt, options.reuseCache, this);
            long entered = System.nanoTime();
            long first = entered;
            long last = entered;
            while (reason == null) {
                if (generation.isClosed()) {
                    throw new ClosedException();
                }
                if (logits == null || generation.isCancelled()) {
                    reason = GenerateStats.Reason.CANCELLED;
                    tell(stream.end(), true);
                    break;
                }
                int token = sampler.choose(logits);
                count++;
                last = System.nanoTime();
                first = count == 1 ? last : first;
                boolean end = isEnd(token);
                if (end) {
                    reason = GenerateStats.Reason.STOP;
                } else if (count == limit) {
                    reason = options.maxTokens <= room ? GenerateStats.Reason.LENGTH : GenerateStats.Reason.CONTEXT;
                }
                String piece = end ? stream.end() : stream.add(token) + (reason != null ? stream.end() : "");
                if (tell(piece, reason != null)) {
                    reason = GenerateStats.Reason.STOP;
                }
                if (reason == null) {
                    logits = context.step(token);
                }
            }
            generation.end(
                    new GenerateStats(
                            reason, prompt.length, reused, count, entered - start, first - start, last - first));
        }

        /** Hand on the text before a stop text; whether there was one. */
        private boolean tell(String piece, boolean last) {
            String text = piece;
            if (stops != null) {
                text = stops.feed(piece);
                if (last && !stops.stopped()) {
                    text += stops.end();
                }
            }
            generation.add(text);
            return stops != null && stops.stopped();
        }

        private boolean isEnd(int token) {
            for (int end : ends) {
                if (end == token) {
                    return true;
                }
            }
            return false;
        }
    }
}
