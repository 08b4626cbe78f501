"""What happens with damaged, odd and meaningless input?"""
