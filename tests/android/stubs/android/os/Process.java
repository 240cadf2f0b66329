package android.os;

/** Signatures alone. */
public class Process {
    public static final native int myPid();

    public static final native void killProcess(int pid);
}
