package android.view;

import android.content.Context;

/** A working fake. */
public class View {
    private boolean enabled;
    private OnClickListener listener;

    public View(Context context) {}

    public void setEnabled(boolean whether) {
        enabled = whether;
    }

    public boolean isEnabled() {
        return enabled;
    }

    public void setOnClickListener(OnClickListener told) {
        listener = told;
    }

    public boolean performClick() {
        listener.onClick(this);
        return true;
    }

    /** As on a phone. */
    public interface OnClickListener {
        void onClick(View view);
    }
}
