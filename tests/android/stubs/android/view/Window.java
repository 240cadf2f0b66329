package android.view;

/** A working fake; an abstract class on a phone. */
public class Window {
    public int flags;

    public void addFlags(int more) {
        flags |= more;
    }

    public void clearFlags(int fewer) {
        flags &= ~fewer;
    }
}
