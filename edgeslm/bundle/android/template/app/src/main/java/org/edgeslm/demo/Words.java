package org.edgeslm.demo;

import android.content.res.Resources;

/** A state in the words of the phone's language. */
final class Words {
    private Words() {}

    static String of(State state, Resources resources) {
        return resources.getString(text(state.word), state.details);
    }

    private static int text(State.Word word) {
        switch (word) {
            case OPENING:
                return R.string.opening;
            case READY:
                return R.string.ready;
            case ANSWERING:
                return R.string.answering;
            case PROBING:
                return R.string.probing;
            case SPEED:
                return R.string.speed;
            case CANCELLED:
                return R.string.cancelled;
            case TOOK:
                return R.string.took;
            case PROBED:
                return R.string.probed;
            case FAILED:
                return R.string.failed;
            default:
                throw new AssertionError(word);
        }
    }
}
