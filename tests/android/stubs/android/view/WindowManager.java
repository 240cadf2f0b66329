package android.view;

/** Signatures alone. */
public interface WindowManager {
    /** Signatures alone. */
    class LayoutParams {
        public static final int FLAG_KEEP_SCREEN_ON = 128;
    }
}
